"""The moves for jobs, on the plain model: who defines them, who fires them."""

from __future__ import annotations

from typing import Any

from moves.lives import Lives
from moves.things import PAST, Job, Run


class BySchedulers(Lives):
    """Each method is the move of its name, with the move's own arguments and its answer."""

    def __init__(self, tenant: str) -> None:
        super().__init__(tenant)
        self.jobs_made = 0

    def put(
        self, name: str, _: str, __: str, tag: str, step: int, ___: str, after: str, overlap: str, *rest: Any
    ) -> int:
        expires, due, _schedule, _misfire, seen, no_worker = rest
        if not self.is_as_seen(name, seen):
            return -1
        if name not in self.jobs:
            self.jobs_made += 1
            self.jobs[name] = Job(self.jobs_made, tag, step)
            self.take_on(name)
        job = self.jobs[name]
        job.tag, job.step, job.overlap, job.after, job.expires = tag, step, overlap, after != "", expires != ""
        job.no_worker = no_worker
        self.plan(job, "" if job.paused else due)
        if overlap == "allow":
            self.loosen(name)
            while self.let_next_go(name, loose=True):
                pass
        job.revision += 1
        return job.revision

    def is_as_seen(self, name: str, seen: str) -> bool:
        job = self.jobs.get(name)
        return seen in {"", f"{job.revision}-{job.stamp}" if job else "0"}

    def take_on(self, name: str) -> None:
        """A new job waits for the run that went when the one before it was deleted."""
        last, loose = self.removed.pop(name, ("", False))
        if self.goes(last):
            self.jobs[name].last, self.runs[last].loose = last, loose

    def plan(self, job: Job, due: Any) -> None:
        if due != "keep":
            job.due = None if due == "" else int(due)
            job.asked = job.due is not None

    def remove(self, name: str) -> int:
        self.cancel_parked(name, "deleted")
        self.waiting.discard(name)
        job = self.jobs.get(name)
        if job and self.goes(job.last):
            self.removed[name] = (job.last, self.runs[job.last].loose)
        self.loosen(name)
        return int(self.jobs.pop(name, None) is not None)

    def pause(self, name: str, paused: str, due: Any, seen: str) -> int:
        job = self.jobs.get(name)
        if job is None:
            return 0
        if not self.is_as_seen(name, seen):
            return -1
        job.paused = paused != ""
        job.revision += 1
        self.plan(job, "" if job.paused else due)
        if job.after and not job.paused and self.goes(job.last):
            job.due, job.asked = None, True
            self.waiting.add(name)
        return 1

    def trigger(self, name: str, run_id: str, _: str) -> int | str:
        job = self.jobs.get(name)
        if job is None:
            return 0
        if run_id not in self.runs:
            if refusal := self.refusal(1):
                return refusal
            self.start(name, run_id, "", loose=True)
            self.count(name, "triggered")
        return 1

    def start(
        self,
        name: str,
        run_id: str,
        due: str,
        *,
        at: int = 0,
        parked: bool = False,
        loose: bool = False,
        tag: str = "",
        expires: bool = False,
    ) -> None:
        job = self.jobs[name]
        run = Run(run_id, tag or job.tag, job.step, job=name, due=due, loose=loose or job.overlap == "allow")
        run.expires = self.clock("expires", run_id) if job.expires or expires else 0
        beside = not due and self.goes(job.last)
        self.admit(run, at, parked=parked)
        if not parked and not beside:
            job.last = run_id

    def fire(self, *args: Any) -> list[int]:
        left = self.fires_left()
        answer: list[int] = []
        for i in range(0, len(args), 5):
            made = 4 if left is not None and answer.count(1) >= left else self.fire_one(*args[i : i + 5])
            answer.append(made)
        return answer

    def fire_one(self, name: str, due: int, revision: int, following: Any, run: str) -> int:
        next_due, _, missed = str(following).partition(" ")
        job = self.jobs.get(name)
        if job is None or job.paused or job.revision != revision or due > PAST or job.due != due:
            return 0
        job.due = None if next_due == "" else int(next_due)
        if not run:
            job.asked = job.due is not None
            return 3
        if job.due is None and job.after:
            self.waiting.add(name)
        run_id, _, how = run.partition(" ")
        if run_id in self.runs:
            return 0
        if missed:
            self.count(name, "missed", int(missed))
        if how.startswith("!"):
            return self.fail(name, run_id, f"{job.created}-{due}", how[1:])
        if how and how[0] not in "+~@":
            return self.skip(name, run_id, how)
        marks = {mark[0]: mark[1:] for mark in how.split()}
        at = self.instant(f"+{marks['+']}", "delayed", run_id) if "+" in marks else 0
        return self.fire_run(name, run_id, f"{job.created}-{due}", at, marks.get("@", ""), expires="~" in marks)

    def fire_run(self, name: str, run_id: str, due: str, at: int, tag: str, *, expires: bool) -> int:
        job = self.jobs[name]
        if job.overlap == "queue" and not self.goes(job.last):
            self.let_next_go(name)
        last = self.runs.get(job.last)
        if job.overlap == "allow" or last is None or not last.goes:
            self.start(name, run_id, due, at=at, tag=tag, expires=expires)
        elif job.overlap == "skip":
            return self.skip(name, run_id, last.id, tag)
        elif job.overlap == "queue":
            self.start(name, run_id, due, parked=True, tag=tag, expires=expires)
        else:
            self.cancel_parked(name, run_id)
            self.start(name, run_id, due, parked=True, tag=tag, expires=expires)
            self.stop(last, run_id)
        self.count(name, "fired")
        self.ledger["", "late"] += 1
        return 1

    def fail(self, name: str, run_id: str, due: str, why: str) -> int:
        job = self.jobs[name]
        run = self.runs[run_id] = Run(run_id, job.tag, job.step, job=name, due=due, loose=True)
        self.note_made(run)
        if not self.goes(job.last):
            job.last = run_id
        self.ledger["", "made"] += 1
        self.end(run, "failed", why)
        self.count(name, "fired")
        self.ledger["", "late"] += 1
        return 1

    def skip(self, name: str, run_id: str, why: str, tag: str = "") -> int:
        job = self.jobs[name]
        self.runs[run_id] = Run(
            run_id, tag or job.tag, job.step, "ended", "skipped", job=name, why=why, has_envelope=False, loose=True
        )
        self.note_made(self.runs[run_id])
        self.count(name, "skipped")
        return 2

    def look(self, most: int) -> Any:
        """Answers when there is something to do again (-1: unknown), whether runs expire, the workers, the due jobs."""
        listed: list[Any] = [
            (name, job.due, job.revision, self.unserved(job))
            for name, job in self.jobs.items()
            if job.due is not None and job.due < PAST
        ]
        listed.sort(key=lambda each: (each[1], each[0]))
        left = self.fires_left()
        held = left is not None and left < len(listed)
        fires = not self.limits.get("state")
        ahead = [job.due for job in self.jobs.values() if job.due is not None and job.due > PAST and fires]
        revived = [name for name in sorted(self.waiting) if self.revive(name)]
        for tag in {run.tag for run in self.at("delayed")}:
            self.promote(tag)
        ahead += [run.at for run in self.at("delayed")]
        ahead += [run.expires for run in self.runs.values() if run.expiring]
        late = any(run.expiring and run.is_late for run in self.runs.values())
        self.rung &= {tag for (tag, _), queue in self.queues.items() if queue} | {run.tag for run in self.at("delayed")}
        earliest = min(ahead, default=-1)
        self.trim()
        unknown = revived or (held and fires)
        return None if unknown else earliest, int(late), len(self.workers), listed[: most if left is None else left]

    def unserved(self, job: Job) -> tuple[str, ...]:
        """What a look says of a job whose tag nobody serves."""
        served = any(job.tag in worker.tags for worker in self.workers.values())
        return () if served else (job.tag, job.no_worker, "1" if job.expires else "")

    def revive(self, name: str) -> bool:
        """Let a job go on that waits for a run which does not go any more; answers whether its delay has begun."""
        job = self.jobs.get(name)
        if job and self.goes(job.last):
            return False
        if job is None:
            self.cancel_parked(name, "gone")
        elif self.let_next_go(name):
            return False
        elif job.after and not job.paused and job.due is None:
            self.begin_delay(name)
            return True
        self.waiting.discard(name)
        return False
