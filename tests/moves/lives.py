"""The lives of the model's runs, as far as several moves share them."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import count
from typing import TYPE_CHECKING, Any

from taglane.model.run import ENDED

from moves.things import ALONE_AFTER, LATER, MAX_DEATHS, MOST_TRIES, PAST, Chord, Job, Log, Run, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Lives:
    """One tenant in memory. `clocked` lists the instants that the server's clock has set, with what they are here."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.runs: dict[str, Run] = {}
        self.logs: dict[str, Log] = defaultdict(Log)
        self.gone: set[str] = set()
        """Ids of runs that were forgotten, or lost: entries of these may be left somewhere, and mean nothing."""
        self.queues: dict[tuple[str, int], list[str]] = defaultdict(list)
        self.parked: dict[str, list[str]] = defaultdict(list)
        self.waiting: set[str] = set()
        self.jobs: dict[str, Job] = {}
        self.removed: dict[str, tuple[str, bool]] = {}
        """The last run of a job that was deleted while it went, and whether that may go beside others."""
        self.workers: dict[str, Worker] = {}
        self.chords: dict[str, Chord] = {}
        self.keys: dict[str, str] = {}
        self.aged: set[str] = set()
        """Runs that ended so long ago that they are no history any more."""
        self.ledger: Counter[tuple[str, str]] = Counter()
        """What happened of each job and, under no name, of the tenant; `wait` and `late` are their histograms' sums."""
        self.timed: set[str] = set()
        """Jobs, or no name, of which an attempt was timed by the server's clock."""
        self.limits: dict[str, str] = {}
        self.capped: set[str] = set()
        """Tags that wait until a worker lets a run go."""
        self.rung: set[str] = set()
        """Tags of which somebody has to be woken, or was."""
        self.past, self.future = count(1), count(LATER)
        self.clocked: list[tuple[str, str, int]] = []

    # -- finding ---------------------------------------------------------------------------------------------------

    def where(self, condition: Callable[[Run], bool]) -> list[Run]:
        return [run for run in self.runs.values() if condition(run)]

    def at(self, *places: str) -> list[Run]:
        return [run for run in self.runs.values() if run.place in places]

    def held(self, worker: str) -> list[Run]:
        return [run for run in self.runs.values() if run.place == "leased" and run.holder == worker]

    def goes(self, run_id: str) -> bool:
        run = self.runs.get(run_id)
        return run is not None and run.goes

    def holding(self, run_id: str, token: int) -> Run | None:
        """The run, when this token still holds it."""
        run = self.runs.get(run_id)
        return run if run and run.goes and run.token == token and run.place == "leased" else None

    # -- limits ----------------------------------------------------------------------------------------------------

    def refusal(self, new: int) -> str:
        """What is answered instead of making so many new runs; empty when they may be made."""
        if new and self.limits.get("state") == "draining":
            return "TenantDraining"
        most = self.limits.get("queued")
        return "QueueFull" if new and most and self.count_waiting() + new > int(most) else ""

    def count_waiting(self) -> int:
        return len(self.at("queue", "delayed", "parked"))

    def fires_left(self) -> int | None:
        """How many instants may be fired; None for as many as there are."""
        if self.limits.get("state"):
            return 0
        most = self.limits.get("queued")
        return max(0, int(most) - self.count_waiting()) if most else None

    # -- waiting ---------------------------------------------------------------------------------------------------

    def instant(self, text: str | int, kind: str, of: str) -> int:
        """Read an instant as a move takes it. '+ms' is of the server's clock: it is set to one of ours afterwards."""
        if str(text).startswith("+"):
            return self.clock(kind, of)
        return int(text or 0)

    def clock(self, kind: str, of: str) -> int:
        far = next(self.future)
        self.clocked.append((kind, of, far))
        return far

    def push(self, run: Run, *, head: bool = False) -> None:
        queue = self.queues[run.tag, run.step]
        queue.insert(0 if head else len(queue), run.id)
        run.place, run.state = "queue", "queued"
        self.rung.add(run.tag)

    def delay(self, run: Run, at: int, state: str = "scheduled") -> None:
        run.place, run.state, run.at = "delayed", state, at

    def admit(self, run: Run, at: int = 0, *, parked: bool = False, again: bool = False) -> None:
        self.runs[run.id] = run
        self.ledger["", "made"] += not again
        if not again:
            self.note_made(run)
        run.expiring = run.expires > 0
        if parked:
            run.place, run.state = "parked", "scheduled"
            self.parked[run.job].append(run.id)
            self.waiting.add(run.job)
        elif at > PAST:
            self.delay(run, at)
        else:
            self.push(run)

    def note_made(self, run: Run) -> None:
        if run.job in self.jobs:
            self.jobs[run.job].made.append(run.id)

    def promote(self, tag: str) -> None:
        due = [run for run in self.at("delayed") if run.tag == tag and run.at < PAST]
        for run in sorted(due, key=lambda run: (run.at, run.id)):
            self.push(run)

    # -- ending ----------------------------------------------------------------------------------------------------

    def unplace(self, run: Run) -> None:
        if run.place == "queue" and run.id in self.queues[run.tag, run.step]:
            self.queues[run.tag, run.step].remove(run.id)
        if run.place == "parked" and run.id in self.parked[run.job]:
            self.parked[run.job].remove(run.id)

    def end(self, run: Run, state: str, why: str = "", *, told: bool = False) -> None:
        """Every end comes through here. `told` says that a worker has told the run's dependants of it itself."""
        assert run.goes
        if run.place == "leased":
            self.free_slot()
        self.unplace(run)
        run.place, run.state, run.why = "dead" if state == "dead" else "ended", state, why
        run.expiring = False
        self.aged.discard(run.id)
        self.count(run.job, state)
        self.count_streak(run.job, state)
        if run.join and state == "succeeded":
            self.chords.pop(run.join, None)
        if run.deps and not told:
            assert f"{run.id}~end" not in self.runs
            self.admit(Run(f"{run.id}~end", run.tag, run.step, part=run.part, ended=state))
        if state == "succeeded":
            run.has_envelope = False
        self.go_on(run)

    def count_streak(self, name: str, state: str) -> None:
        job = self.jobs.get(name)
        if job and state != "cancelled":
            job.streak = 0 if state == "succeeded" else job.streak + 1

    def count(self, job: str, what: str, times: int = 1) -> None:
        for of in {job, ""}:
            self.ledger[of, what] += times

    def count_attempt(self, run: Run, ran: Any) -> None:
        """An attempt has ended after *ran* ms, '' for as long as the server's clock says."""
        self.ledger["", "wait"] += 1
        self.ledger["", "ran"] += 1
        self.count(run.job, "ms", int(ran or 0))
        if ran == "":
            self.timed |= {run.job, ""}

    def stop(self, run: Run, why: str) -> str:
        if run.place == "leased":
            run.cancel = why
            return "asked"
        self.end(run, "cancelled", why)
        return "cancelled"

    def forget(self, run: Run) -> None:
        self.unplace(run)
        del self.runs[run.id]
        self.logs.pop(run.id, None)
        self.gone.add(run.id)
        self.aged.discard(run.id)

    def trim(self) -> None:
        for run_id in sorted(self.aged):
            self.forget(self.runs[run_id])

    # -- leases ----------------------------------------------------------------------------------------------------

    def free_slot(self) -> None:
        """Ring those who found the tenant at its limit: each once, until it has come in vain again."""
        self.rung |= self.capped
        self.capped.clear()

    def release(self, run: Run, *, begun: bool = False) -> None:
        """End a worker's hold. What has begun does not expire any more: not between its attempts either."""
        if begun or run.started:
            run.expires, run.expiring = 0, False
        if run.place == "leased":
            self.free_slot()
        run.token += 1
        run.started = run.last = run.replacing = False
        run.place = ""

    def may_wait(self, run: Run) -> bool:
        if run.cancel:
            self.end(run, "cancelled", run.cancel)
            return False
        run.expiring = run.expires > 0
        return True

    def wait_again(self, run: Run, at: int = 0) -> bool:
        if not self.may_wait(run):
            return False
        if at:
            self.delay(run, at)
        else:
            self.push(run, head=True)
        return True

    def note_try(self, run: Run, how: str) -> None:
        run.tries = [*run.tries, (run.attempts, how)][-MOST_TRIES:]

    def take_over(self, run: Run, *, child: bool) -> tuple[int, int]:
        """The worker of a run died, or its child did: 1 for a run that waits again, 1 for a dead letter."""
        counts = child or run.started or run.rescues >= ALONE_AFTER
        run.deaths += counts
        if counts:
            self.count(run.job, "died")
        if run.started and (child or run.holder in self.workers):
            self.count_attempt(run, "")
        self.note_try(run, "died")
        run.rescues += 1
        last = run.last
        self.release(run, begun=counts)
        if not run.cancel and (last or run.deaths >= MAX_DEATHS):
            self.end(run, "dead", "its child process" if child else f"its worker {run.holder} died")
            return 0, 1
        return int(self.wait_again(run)), 0

    # -- jobs and chords -------------------------------------------------------------------------------------------

    def let_next_go(self, name: str, *, loose: bool = False) -> bool:
        if not self.parked[name]:
            return False
        run = self.runs[self.parked[name].pop(0)]
        run.loose = run.loose or loose
        self.jobs[name].last = run.id
        self.push(run)
        return True

    def begin_delay(self, name: str) -> None:
        self.waiting.discard(name)
        if self.jobs[name].due is None:
            self.jobs[name].due = self.clock("due", name)

    def go_on(self, run: Run) -> None:
        job = self.jobs.get(run.job)
        if job and job.last == run.id and not self.let_next_go(run.job) and job.after and not job.paused:
            self.begin_delay(run.job)

    def cancel_parked(self, name: str, why: str) -> None:
        for run_id in self.parked.pop(name, []):
            self.end(self.runs[run_id], "cancelled", why)

    def loosen(self, name: str) -> None:
        """What goes of a job may go beside what comes: its definition changed under it."""
        for run in self.where(lambda run: run.job == name and run.goes and run.place != "parked"):
            run.loose = True

    def start_join(self, group: str) -> None:
        chord = self.chords[group]
        if chord.size is None or chord.started or chord.count < chord.size:
            return
        chord.started = True
        if chord.join not in self.runs:
            self.admit(Run(chord.join, chord.tag, chord.step, join=group, deps=True))

    def add_part(self, group: str, index: str) -> None:
        chord = self.chords.setdefault(group, Chord())
        if index not in chord.parts:
            chord.parts.add(index)
            chord.count += 1
            self.start_join(group)

    # -- what must hold of the model itself ------------------------------------------------------------------------

    def lonely(self) -> Iterable[tuple[str, list[Run]]]:
        """Of each job, the runs that its fires made and that go, and may not go beside one another."""
        found: dict[str, list[Run]] = defaultdict(list)
        for run in self.runs.values():
            if run.due and not run.loose and run.state not in ENDED and run.place != "parked":
                found[run.job].append(run)
        return found.items()
