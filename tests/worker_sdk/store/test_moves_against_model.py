"""Random interleavings of all moves, held against a plain model of what DESIGN's table of moves promises.

Time is made, not waited for: an instant that has come is one that a rule has written into the past. A crash is a worker
that makes no move any more, until it is rescued.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from factories import make_server
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from taglane.model.run import ENDED
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taglane.store.server import Server

TASK, ENVELOPE = "shop.task", "{}"
ALONE_AFTER, MAX_DEATHS = 2, 3
LATER, PAST = 10**15, 10**9
"""No score of a test lies between these two: what is below PAST has come."""

WORKERS = ("w0", "w1", "w2")
JOBS = ("hourly", "steady")
TENANTS = count()

picks = st.integers(0, 999)
flags = st.booleans()
steps = st.sampled_from(keys.STEPS)
instants = st.sampled_from(["", "", "past", "later"])
expiries = st.sampled_from(["", "later", "later", "past"])


@dataclass
class Run:
    """What the model knows of a run. `at` is its score in `delayed`; `seen` when it expires."""

    id: str
    tag: str
    step: int
    place: str = "queue"
    state: str = "queued"
    holder: str = ""
    token: int = 0
    attempts: int = 0
    deaths: int = 0
    rescues: int = 0
    at: int = 0
    expires: int = 0
    expiring: bool = False
    started: bool = False
    last: bool = False
    cancel: bool = False
    deps: bool = False
    job: str = ""
    part: tuple[str, str] | None = None
    join: str = ""
    ended: str = ""
    replayed: str = ""
    has_envelope: bool = True

    @property
    def is_late(self) -> bool:
        return 0 < self.expires < PAST


@dataclass
class Job:
    revision: int = 0
    overlap: str = "skip"
    after: bool = False
    paused: bool = False
    due: int | None = None
    last: str = ""


@dataclass
class Worker:
    known: bool = False
    seq: int = 0
    asked: tuple[Any, ...] = ()
    taken: list[tuple[str, int]] = field(default_factory=list)
    beat: int = 0


@dataclass
class Chord:
    size: int
    tag: str
    parts: set[str] = field(default_factory=set)


def resolved(instant: str) -> str:
    """The instant as the enqueue move takes it."""
    return {"": "", "past": "1", "later": "+3600000"}[instant]


class Moves(RuleBasedStateMachine):
    """Drives one tenant's moves and the model side by side; `agree` compares the two after every step."""

    server: ClassVar[Server]

    def __init__(self) -> None:
        super().__init__()
        self.redis: Any = self.server.redis
        self.redis.flushdb()
        self.tenant = f"t{next(TENANTS)}"
        self.tags = (self.tenant, f"{self.tenant}.gpu")
        self.numbers = count(1)
        self.runs: dict[str, Run] = {}
        self.queues: dict[tuple[str, int], list[str]] = defaultdict(list)
        self.workers = {name: Worker() for name in WORKERS}
        self.jobs: dict[str, Job] = {}
        self.chords: dict[str, Chord] = {}
        self.keys_used: dict[str, str] = {}
        self.fired: set[str] = set()

    def call(self, move: str, *args: Any) -> Any:
        return self.server.call(move, self.tenant, *args)

    def fresh(self, kind: str = "r") -> str:
        return f"{self.tenant}.{kind}{next(self.numbers)}"

    def where(self, condition: Callable[[Run], bool]) -> list[Run]:
        return [run for run in self.runs.values() if condition(run)]

    def choose(self, pick: int, runs: Iterable[Run]) -> Run | None:
        found = list(runs)
        return found[pick % len(found)] if found else None

    def leased(self, pick: int) -> Run | None:
        return self.choose(pick, self.where(lambda run: run.place == "leased"))

    def leave_unchanged(self, expected: Any, move: str, *args: Any) -> None:
        """Make a move that must do nothing: `agree` sees to the rest."""
        assert expected == self.call(move, *args)

    # -- the model's own steps -----------------------------------------------------------------------------------

    def admit(self, run: Run, at: int = 0) -> None:
        self.runs[run.id] = run
        run.expiring = run.expires > 0
        if at > PAST:
            run.place, run.state, run.at = "delayed", "scheduled", at
        else:
            run.place, run.state = "queue", "queued"
            self.queues[run.tag, run.step].append(run.id)

    def end(self, run: Run, state: str, *, told: bool = False) -> None:
        if run.place == "queue" and run.id in self.queues[run.tag, run.step]:
            self.queues[run.tag, run.step].remove(run.id)
        run.place, run.state, run.expiring = "dead" if state == "dead" else "ended", state, False
        if run.deps and not told:
            assert f"{run.id}~end" not in self.runs
            follower = Run(f"{run.id}~end", run.tag, run.step, part=run.part, ended=state)
            self.admit(follower)
        if state == "succeeded":
            run.has_envelope = False
            if run.join:
                self.chords.pop(run.join, None)
        job = self.jobs.get(run.job)
        if job and job.after and job.last == run.id and not job.paused and job.due is None:
            job.due = LATER

    def release(self, run: Run) -> None:
        run.token += 1
        run.started = run.last = False
        run.place = ""

    def wait_again(self, run: Run, at: int = 0) -> bool:
        if run.cancel:
            self.end(run, "cancelled")
            return False
        run.expiring = run.expires > 0
        if at:
            run.place, run.state, run.at = "delayed", "scheduled", at
        else:
            run.place, run.state = "queue", "queued"
            self.queues[run.tag, run.step].insert(0, run.id)
        return True

    def take_over(self, run: Run, *, started: bool) -> tuple[int, int]:
        if started or run.started or run.rescues >= ALONE_AFTER:
            run.deaths += 1
        run.rescues += 1
        last = run.last
        self.release(run)
        if not run.cancel and (last or run.deaths >= MAX_DEATHS):
            self.end(run, "dead")
            return 0, 1
        return int(self.wait_again(run)), 0

    def promote(self, tags: Iterable[str]) -> None:
        for tag in tags:
            due = [run for run in self.runs.values() if (run.place, run.tag) == ("delayed", tag) and run.at < PAST]
            for run in sorted(due, key=lambda run: (run.at, run.id)):
                run.place, run.state = "queue", "queued"
                self.queues[tag, run.step].append(run.id)

    def serve(self, worker: str, most: int, tags: list[str]) -> list[tuple[str, int]]:
        """What a fetch leases, in its order."""
        idle = not self.where(lambda run: run.place == "leased" and run.holder == worker)
        self.promote(tags)
        taken: list[tuple[str, int]] = []
        stop = False
        for queue in [self.queues[tag, step] for step in keys.STEPS for tag in tags]:
            while queue and len(taken) < most and not stop:
                run = self.runs[queue[0]]
                alone = run.rescues >= ALONE_AFTER
                if run.is_late:
                    self.end(run, "expired")
                elif alone and (taken or not idle):
                    stop = True
                else:
                    queue.pop(0)
                    run.place, run.holder, stop = "leased", worker, alone
                    run.token += 1
                    run.attempts += 1
                    taken.append((run.id, run.token))
        return taken

    def add_part(self, group: str, index: str) -> None:
        chord = self.chords.get(group)
        if chord is None:
            return
        chord.parts.add(index)
        join = f"{group}~join"
        if len(chord.parts) == chord.size and join not in self.runs:
            self.admit(Run(join, chord.tag, 0, join=group, deps=True))

    def adopt_order(self, before: dict[tuple[str, int], list[str]]) -> None:
        """Take the order in which a set of runs went back from the server: it promises none among themselves."""
        actual = self.live_queues()
        for queue, expected in self.queues.items():
            assert sorted(expected) == sorted(actual.get(queue, []))
            was = [run for run in before.get(queue, []) if run in expected]
            assert was == [run for run in actual.get(queue, []) if run in was]
            self.queues[queue] = actual.get(queue, [])

    @initialize(overlap=st.sampled_from(["skip", "allow"]), after=flags, size=st.integers(1, 3))
    def populate(self, overlap: str, after: bool, size: int) -> None:
        """Begin with some of everything: else most rules find nothing to work on."""
        self.put("hourly", overlap, after, due=True)
        self.trigger("hourly")
        self.enqueue(0, 0, "", "later", "", deps=True)
        self.send_chord(size, 0)
        self.enqueue(1, 3, "later", "later", "k", deps=False)
        self.enqueue(0, 9, "", "past", "", deps=True)
        self.fetch("w0", 2, both=False, turned=False)

    # -- making runs -----------------------------------------------------------------------------------------------

    @rule(tag=picks, step=steps, at=instants, expires=expiries, key=st.sampled_from(["", "", "k", "l}"]), deps=flags)
    def enqueue(self, tag: int, step: int, at: str, expires: str, key: str, deps: bool) -> None:
        run = Run(self.fresh(), self.tags[tag % 2], step, deps=deps)
        run.expires = {"": 0, "past": 1, "later": LATER}[expires]
        answer = self.call(
            "enqueue", run.id, TASK, run.tag, step, ENVELOPE, resolved(at), resolved(expires), key, "1" if deps else ""
        )
        if key in self.keys_used:
            assert [self.keys_used[key].encode(), 0] == answer
            return
        assert [run.id.encode(), 1] == answer
        if key:
            self.keys_used[key] = run.id
        self.admit(run, LATER if at == "later" else 0)

    @rule(pick=picks, at=instants)
    def enqueue_again(self, pick: int, at: str) -> None:
        run = self.choose(pick, self.runs.values())
        if run:
            again = (run.id, TASK, run.tag, run.step, ENVELOPE, resolved(at), "", "", "")
            self.leave_unchanged([run.id.encode(), 0], "enqueue", *again)

    @rule(pick=picks, ours=flags)
    def replay(self, pick: int, ours: bool) -> None:
        ended = self.where(lambda run: run.place in {"ended", "dead"})
        run = self.choose(pick, [run for run in ended if run.join or run.ended] if ours else ended)
        if not run:
            return
        new = self.fresh("replay")
        answer = self.call("replay", run.id, new).decode()
        if run.state == "skipped" or not run.has_envelope:
            assert "" == answer
        elif run.state == "dead" and run.replayed:
            assert run.replayed == answer
        else:
            assert new == answer
            run.place, run.replayed = "ended", new
            self.admit(
                Run(new, run.tag, run.step, job=run.job, join=run.join, ended=run.ended, part=None, deps=bool(run.join))
            )

    @rule(size=st.integers(1, 3), tag=picks)
    def send_chord(self, size: int, tag: int) -> None:
        group = self.fresh("g")
        self.chords[group] = Chord(size, self.tags[tag % 2])
        self.call("chord", group, f"{group}~join", TASK, self.tags[tag % 2], 0, ENVELOPE)
        for place in range(size):
            run = Run(self.fresh("part"), self.tags[tag % 2], 0, deps=True)
            run.part = (f"{place}:{run.id}", group)
            self.call("enqueue", run.id, TASK, run.tag, 0, ENVELOPE, "", "", "", "1")
            self.admit(run)
        self.call("chord_size", group, size)

    @rule(pick=picks)
    def bring_part_again(self, pick: int) -> None:
        brought = [(group, index) for group, chord in self.chords.items() for index in sorted(chord.parts)]
        if brought:
            group, index = brought[pick % len(brought)]
            self.leave_unchanged(1, "part", group, index, "{}")
            self.leave_unchanged(1, "chord_size", group, self.chords[group].size)

    # -- workers ---------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(WORKERS), most=st.integers(1, 4), both=flags, turned=flags)
    def fetch(self, name: str, most: int, both: bool, turned: bool) -> None:
        worker = self.workers[name]
        if not worker.known:
            self.call("hello", name, "tags", " ".join(self.tags))
            self.workers[name] = worker = Worker(known=True)
        tags = list(self.tags if both else self.tags[:1])
        tags = tags[::-1] if turned else tags
        idle = not self.where(lambda run: run.place == "leased" and run.holder == name)
        worker.seq += 1
        worker.asked = (name, worker.seq, most, "1" if idle else "0", *tags)
        worker.taken = self.serve(name, most, tags)
        assert worker.taken == self.taken(worker.asked)

    @rule(name=st.sampled_from(WORKERS))
    def fetch_again_after_a_lost_reply(self, name: str) -> None:
        worker = self.workers[name]
        if worker.asked:
            self.promote(worker.asked[4:])
            runs = [(self.runs[run], token) for run, token in worker.taken]
            held = [(run.id, token) for run, token in runs if run.token == token and run.place == "leased"]
            assert held == self.taken(worker.asked)

    @rule(name=st.sampled_from(WORKERS))
    def fetch_that_comes_late(self, name: str) -> None:
        worker = self.workers[name]
        if worker.seq > 1:
            late = (name, worker.seq - 1, *worker.asked[2:])
            self.promote(late[4:])
            assert [] == self.taken(late)

    def taken(self, asked: tuple[Any, ...]) -> list[tuple[str, int]]:
        return [(run[0].decode(), int(run[1])) for run in self.call("fetch", *asked)[2]]

    @rule(name=st.sampled_from(WORKERS), start=picks, last=flags)
    def renew(self, name: str, start: int, last: bool) -> None:
        worker = self.workers[name]
        held = self.where(lambda run: run.place == "leased" and run.holder == name)
        marks = []
        if worker.known and held:
            run = held[start % len(held)]
            run.started, run.state, run.last = True, "running", run.last or last
            marks = [run.id, run.token, 5, "1" if last else ""]
        lost = self.choose(start, self.where(lambda run: run.token > 0 and run not in held))
        named = [value for run in held for value in (run.id, run.token)]
        named += [lost.id, lost.token - 1] if lost else []
        answer = self.call("renew", name, len(held), len(marks) // 4, *marks, *named)
        if not worker.known:
            assert 0 == answer
            return
        worker.beat += 1
        assert [[lost.id.encode()] if lost else [], sorted(run.id.encode() for run in held if run.cancel)] == [
            answer[0],
            sorted(answer[1]),
        ]

    @rule(name=st.sampled_from(WORKERS))
    def beat(self, name: str) -> None:
        worker = self.workers[name]
        worker.beat += worker.known
        assert (worker.beat if worker.known else 0) == self.call("beat", name)
        self.leave_unchanged(b"missing", "cancel", f"{self.tenant}.nobody", "why")
        if not worker.known:
            self.leave_unchanged(0, "fetch", name, 1, 4, "1", *self.tags)

    @rule(pick=picks, state=st.sampled_from(["succeeded", "succeeded", "failed", "cancelled", "dead"]), ran=flags)
    def finish(self, pick: int, state: str, ran: bool) -> None:
        run = self.leased(pick)
        if not run:
            return
        told = ran or state == "succeeded"
        part = run.part if told else None
        said = f"{part[0]} {part[1]} {{}}" if part else ""
        arguments = (run.id, run.token, state, 7 if told else "", '{"r":1}', said)
        assert [1] == self.call("finish", *arguments)
        self.end(run, state, told=told)
        if part:
            self.add_part(part[1], part[0])
        self.leave_unchanged([0], "finish", *arguments)

    @rule(pick=picks, move=st.sampled_from(["finish", "retry", "hand_back", "died", "progress"]), stale=flags)
    def say_something_stale(self, pick: int, move: str, stale: bool) -> None:
        """A worker that lost its lease, or never had it, is not heard."""
        run = self.choose(pick, self.where(lambda run: run.token > 0 and (stale or run.place != "leased")))
        if not run:
            return
        token = run.token if run.state in ENDED and not stale else run.token - 1
        match move:
            case "finish":
                self.leave_unchanged([0], move, run.id, token, "failed", 1, "{}", "")
            case "retry":
                self.leave_unchanged(0, move, run.id, token, "", ENVELOPE, "", TASK, run.tag, run.step)
            case "hand_back":
                self.leave_unchanged(0, move, "", run.id, token)
            case "died":
                self.leave_unchanged([0, 0], move, run.id, token)
            case _ if token != run.token:
                self.leave_unchanged(0, move, run.id, token, "{}")

    @rule(pick=picks, later=flags, tag=picks, step=steps)
    def retry(self, pick: int, later: bool, tag: int, step: int) -> None:
        run = self.leased(pick)
        if not run:
            return
        to = self.tags[tag % 2]
        at = "+3600000" if later else ""
        assert 1 == self.call("retry", run.id, run.token, at, ENVELOPE, '{"e":1}', TASK, to, step)
        self.release(run)
        if run.cancel:
            self.end(run, "cancelled")
            return
        run.tag, run.step, run.expiring = to, step, run.expires > 0
        if later:
            run.place, run.state, run.at = "delayed", "retrying", LATER
        else:
            run.place, run.state = "queue", "queued"
            self.queues[to, step].append(run.id)

    @rule(pick=picks, later=flags)
    def hand_back(self, pick: int, later: bool) -> None:
        run = self.leased(pick)
        if run:
            assert 1 == self.call("hand_back", 3_600_000 if later else "", run.id, run.token)
            self.release(run)
            run.attempts -= 1
            self.wait_again(run, LATER if later else 0)

    @rule(pick=picks)
    def replace(self, pick: int) -> None:
        """A task that is replaced by others: the last of them is sent under its id, before it has ended."""
        run = self.leased(pick)
        if not run or run.ended or run.join:
            return
        token = run.token
        self.call("progress", run.id, token, "")
        again = (run.id, TASK, run.tag, run.step, ENVELOPE, "", "", "", "1" if run.deps else "")
        assert [run.id.encode(), int(not run.cancel)] == self.call("enqueue", *again)
        self.release(run)
        if run.cancel:
            self.end(run, "cancelled")
        else:
            run.expires = 0
            self.admit(run)
        self.leave_unchanged([run.id.encode(), 0], "enqueue", *again)
        self.leave_unchanged([0], "finish", run.id, token, "replaced", 1, "", "")

    @rule(pick=picks)
    def died(self, pick: int) -> None:
        run = self.leased(pick)
        if run:
            answer = self.call("died", run.id, run.token)
            assert list(self.take_over(run, started=True)) == answer

    @rule(name=st.sampled_from(WORKERS), alive=st.sampled_from([False, False, True]))
    def rescue(self, name: str, alive: bool) -> None:
        """Someone saw the worker's counter stand still; if it has moved on since, nothing happens."""
        worker = self.workers[name]
        if alive and worker.known:
            self.leave_unchanged([0, 0], "rescue", name, worker.beat - 1)
            return
        before = {queue: list(runs) for queue, runs in self.queues.items()}
        answer = self.call("rescue", name, worker.beat)
        moved = [
            self.take_over(run, started=False)
            for run in self.where(lambda run: run.place == "leased" and run.holder == name)
        ]
        assert [sum(queued for queued, _ in moved), sum(dead for _, dead in moved)] == answer
        self.adopt_order(before)
        self.workers[name] = Worker()

    @rule(name=st.sampled_from(WORKERS))
    def leave(self, name: str) -> None:
        before = {queue: list(runs) for queue, runs in self.queues.items()}
        answer, back = self.call("leave", name), 0
        for run in self.where(lambda run: run.place == "leased" and run.holder == name):
            self.release(run)
            run.attempts -= 1
            back += self.wait_again(run)
        assert back == answer
        self.adopt_order(before)
        self.workers[name] = Worker()

    @rule(name=st.sampled_from(WORKERS), most=st.integers(1, 4), mark=flags, last=flags, cancelled=flags)
    def crash(self, name: str, most: int, mark: bool, last: bool, cancelled: bool) -> None:
        """A worker dies soon after it fetched: the way by which a poison run goes."""
        self.fetch(name, most, both=True, turned=False)
        self.agree()
        if mark:
            self.renew(name, 0, last)
        if cancelled:
            self.cancel(most, ("leased",))
            self.agree()
        self.rescue(name, alive=False)

    @rule(name=st.sampled_from(WORKERS), fails=flags)
    def work_off(self, name: str, fails: bool) -> None:
        """A worker executes all that it holds and some more."""
        self.fetch(name, 4, both=True, turned=True)
        for run in self.where(lambda run: run.place == "leased" and run.holder == name):
            place = self.where(lambda run: run.place == "leased").index(run)
            self.finish(place, "failed" if fails else "succeeded", ran=True)

    # -- callers and schedulers --------------------------------------------------------------------------------------

    @rule(pick=picks, places=st.sampled_from([("leased",), ("queue", "delayed"), ("ended", "dead")]))
    def cancel(self, pick: int, places: tuple[str, ...]) -> None:
        run = self.choose(pick, self.where(lambda run: run.place in places))
        if not run:
            return
        answer = self.call("cancel", run.id, "why").decode()
        if run.state in ENDED:
            assert "ended" == answer
        elif run.place == "leased":
            assert "asked" == answer
            run.cancel = True
        else:
            assert "cancelled" == answer
            self.end(run, "cancelled")

    @rule(pick=picks)
    def let_a_delay_pass(self, pick: int) -> None:
        run = self.choose(pick, self.where(lambda run: run.place == "delayed" and run.at > PAST))
        if run:
            run.at = next(self.numbers)
            self.redis.zadd(keys.delayed(self.tenant, run.tag), {run.id: run.at})

    @rule(pick=picks, places=st.sampled_from([("leased",), ("queue", "delayed")]), then_expire=flags)
    def let_a_run_expire(self, pick: int, places: tuple[str, ...], then_expire: bool) -> None:
        run = self.choose(pick, self.where(lambda run: run.expires > PAST and run.place in places))
        if run:
            run.expires = next(self.numbers)
            self.redis.hset(keys.run(self.tenant, run.id), "expires", run.expires)
            if run.expiring:
                self.redis.zadd(keys.expiring(self.tenant), {run.id: run.expires})
            if then_expire:
                self.expire()

    @rule()
    def expire(self) -> None:
        late = sorted(self.where(lambda run: run.expiring and run.is_late), key=lambda run: (run.expires, run.id))
        for run in late:
            run.expiring = False
        ended = [run for run in late if run.place != "leased"]
        assert len(ended) == self.call("expire")
        before = {queue: [run for run in runs if self.runs[run] not in ended] for queue, runs in self.queues.items()}
        for run in ended:
            self.end(run, "expired")
        self.adopt_order(before)

    @rule(name=st.sampled_from(JOBS), overlap=st.sampled_from(["skip", "allow"]), after=flags, due=flags)
    def put(self, name: str, overlap: str, after: bool, due: bool) -> None:
        job = self.jobs.setdefault(name, Job())
        job.revision += 1
        job.overlap, job.after = overlap, after
        job.due = None if job.paused or not due else next(self.numbers)
        instant = job.due or ("" if job.paused or not due else 1)
        delay = 3_600_000 if after else ""
        definition = (name, "{}", TASK, self.tenant, 0, ENVELOPE, delay, overlap, 3_600_000, instant, "{}")
        assert job.revision == self.call("put", *definition)

    @rule(name=st.sampled_from(JOBS), paused=flags)
    def pause(self, name: str, paused: bool) -> None:
        job = self.jobs.get(name)
        instant = "" if paused else next(self.numbers)
        assert int(job is not None) == self.call("pause", name, "1" if paused else "", instant)
        if job:
            job.paused, job.due = paused, None if instant == "" else int(instant)
            job.revision += 1

    @rule(name=st.sampled_from(JOBS), again=flags, make=st.sampled_from([True, True, False]))
    def look_and_fire(self, name: str, again: bool, make: bool) -> None:
        """What look lists as due is fired once, however many schedulers saw it."""
        _, _, _, workers, due = self.call("look", 16)
        self.promote(self.tags)
        assert sum(worker.known for worker in self.workers.values()) == workers
        listed = {entry[0].decode(): (int(entry[1]), int(entry[2])) for entry in due}
        assert {
            job: (stored.due, stored.revision)
            for job, stored in self.jobs.items()
            if stored.due is not None and stored.due < PAST
        } == listed
        job = self.jobs.get(name)
        if job is None or name not in listed:
            return
        seen, revision = listed[name]
        self.leave_unchanged([0], "fire", name, seen, revision + 1, "", self.fresh("wrong"))
        self.leave_unchanged([0], "fire", name, seen + 1, revision, "", self.fresh("wrong"))
        run_id = f"{self.tenant}.{name}-{seen}" if make else ""
        next_due = next(self.numbers) if again else ""
        answer = self.call("fire", name, seen, revision, next_due, run_id)
        job.due = int(next_due) if next_due else None
        last = self.runs.get(job.last)
        if not make:
            assert [3] == answer
        elif job.overlap != "allow" and last and last.state not in ENDED:
            assert [2] == answer
            self.runs[run_id] = Run(
                run_id, self.tenant, 0, place="ended", state="skipped", job=name, has_envelope=False
            )
        else:
            assert [1] == answer
            job.last = run_id
            self.admit(Run(run_id, self.tenant, 0, job=name, expires=LATER))
        assert run_id not in self.fired
        self.fired |= {run_id} if make else set()
        self.leave_unchanged([0], "fire", name, seen, revision, next_due, run_id)

    @rule(name=st.sampled_from(JOBS))
    def trigger(self, name: str) -> None:
        run_id = self.fresh("trigger")
        job = self.jobs.get(name)
        assert int(job is not None) == self.call("trigger", name, run_id, "")
        if job:
            job.last = run_id
            self.admit(Run(run_id, self.tenant, 0, job=name, expires=LATER))
            self.leave_unchanged(1, "trigger", name, run_id, "")

    # -- what holds ----------------------------------------------------------------------------------------------------

    def live_queues(self) -> dict[tuple[str, int], list[str]]:
        """What a fetch would still serve of each queue: an id that ended there stays until it comes to the head."""
        queues = [(tag, step) for tag in self.tags for step in keys.STEPS]
        pipeline = self.redis.pipeline(transaction=False)
        for tag, step in queues:
            pipeline.lrange(keys.queue(self.tenant, tag, step), 0, -1)
        lists = [[run.decode() for run in entries] for entries in pipeline.execute()]
        return {
            queue: [run for run in entries if self.runs[run].place == "queue"]
            for queue, entries in zip(queues, lists, strict=True)
        }

    @invariant()
    def agree(self) -> None:
        """Every run is in exactly one place, the one the model says, with its counters; and nothing else is there."""
        tenant = self.tenant
        pipeline = self.redis.pipeline(transaction=False)
        fields = (
            "holder",
            "state",
            "token",
            "attempts",
            "deaths",
            "rescues",
            "started",
            "last",
            "expires",
            "cancel",
            "ended",
        )
        for run_id in self.runs:
            pipeline.hmget(keys.run(tenant, run_id), fields)
        hashes = pipeline.execute()
        for run, values in zip(self.runs.values(), hashes, strict=True):
            holder, state, *numbers, expires, cancel, ended = values
            expected = [run.state, run.token, run.attempts, run.deaths, run.rescues]
            if run.state not in ENDED:
                expected += [run.started, run.last]
                assert run.cancel == (cancel is not None)
                assert run.is_late == (0 < int(expires or 0) < PAST)
                assert (run.expires > 0) == (expires is not None)
            counted = [int(number or 0) for number in numbers]
            assert expected == [state.decode(), *counted][: len(expected)], run
            assert run.place != "leased" or run.holder == holder.decode()
            assert run.ended == (ended or b"").decode()
        places: dict[str, set[str]] = defaultdict(set)
        for run in self.runs.values():
            places[run.place].add(run.id)
        for queue, entries in self.live_queues().items():
            assert self.queues[queue] == entries
        held = [self.members("SMEMBERS", keys.held(tenant, name)) for name in WORKERS]
        assert places["leased"] == self.members("ZRANGE", keys.leases(tenant), 0, -1) == set().union(*held)
        for name, runs in zip(WORKERS, held, strict=True):
            assert {run.id for run in self.where(lambda run: run.place == "leased") if run.holder == name} == runs
        delayed = [self.members("ZRANGE", keys.delayed(tenant, tag), 0, -1) for tag in self.tags]
        assert places["delayed"] == set().union(*delayed)
        assert places["ended"] == self.members("ZRANGE", keys.ended(tenant), 0, -1)
        assert places["dead"] == self.members("ZRANGE", keys.dead(tenant), 0, -1)
        expiring = {run.id for run in self.where(lambda run: run.expiring)}
        assert expiring == self.members("ZRANGE", keys.expiring(tenant), 0, -1)
        assert set(self.runs) == self.members("ZRANGE", keys.runs(tenant), 0, -1)
        due = {name for name, job in self.jobs.items() if job.due is not None}
        assert due == self.members("ZRANGE", keys.due(tenant), 0, -1)

    def members(self, *command: Any) -> set[str]:
        return {member.decode() for member in self.redis.execute_command(*command)}

    def teardown(self) -> None:
        """No key is another tenant's; what was said for one worker or chord goes with it; every run can still end."""
        tenant = self.tenant
        names = {name.decode() for name in self.redis.keys("*")}
        assert set() == {name for name in names if not name.startswith(keys.prefix(tenant))}
        assert keys.aside(tenant) not in names
        for name, worker in self.workers.items():
            per_worker = {keys.held(tenant, name), keys.worker(tenant, name), keys.cancels(tenant, name)}
            assert worker.known or not per_worker & names
        asked = {run.holder for run in self.where(lambda run: run.place == "leased" and run.cancel)}
        assert {keys.cancels(tenant, name) for name in asked} == {name for name in names if ":cancels:" in name}
        chords = {name for name in names if ":chord:" in name}
        assert {keys.chord(tenant, group) for group in self.chords} == chords
        assert all(self.redis.pttl(name) > 0 for name in chords)
        self.drain()

    def drain(self) -> None:
        """All that was ever made comes to its end by ordinary moves: nothing was lost, nothing is stuck."""
        for name in WORKERS:
            self.call("leave", name)
        for tag in self.tags:
            for run in self.members("ZRANGE", keys.delayed(self.tenant, tag), 0, -1):
                self.redis.zadd(keys.delayed(self.tenant, tag), {run: 1})
        self.call("hello", "last")
        for seq in range(1, 10 * len(self.runs) + 10):
            runs = self.taken(("last", seq, 64, "1", *self.tags))
            if not runs:
                break
            self.call("finish", *(value for run, token in runs for value in (run, token, "succeeded", 1, "", "")))
        open_runs = [
            run for run in self.runs if self.redis.hget(keys.run(self.tenant, run), "state").decode() not in ENDED
        ]
        assert [] == open_runs


def test_moves_agree_with_the_model(url: str) -> None:
    """Whatever the order of moves, crashes and lost replies, the server does what the model says, and loses nothing."""
    Moves.server = make_server(url)
    run_state_machine_as_test(
        Moves,
        settings=settings(
            max_examples=100,
            stateful_step_count=50,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    Moves.server.close()
