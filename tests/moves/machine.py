"""Makes each move on the server and on the model, and compares the two: the rules of the state machine build on this.

Time is made, not waited for: an instant that has come is one that a rule has written into the past. A crash is somebody
who makes no further move: each move is a step of its own, so it may come between any two.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from cluster import everywhere
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant
from taglane.errors import OverLimit
from taglane.store import keys

from moves.agreement import Seen, compare, promises
from moves.model import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.server import Server

    from moves.things import Lease, Run

WORKERS = ("w0", "w1", "w2")
LAST_WORKER = "last"
JOBS = ("hourly", "nightly", "steady")
UNORDERED = {"rescue", "leave", "look"}
"""Moves that take the members of a set in the server's order: it promises none among what they move."""

TENANTS = count()
Some = TypeVar("Some")

picks = st.integers(0, 999)
flags = st.booleans()
seldom = st.sampled_from([False, False, False, True])
steps = st.sampled_from(keys.STEPS)
names = st.sampled_from(WORKERS)
jobs = st.sampled_from(JOBS)


def choose(pick: int, found: Sequence[Some]) -> Some | None:
    return found[pick % len(found)] if found else None


def plain(value: Any) -> Any:
    """An answer of the server without its bytes."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value


class Machine(RuleBasedStateMachine):
    """One tenant in the server, and its model."""

    server: ClassVar[Server]
    moves_made: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.redis: Any = everywhere(self.server.redis)
        self.redis.flushdb()
        self.tenant = f"t{next(TENANTS)}"
        self.tags = (self.tenant, f"{self.tenant}.gpu")
        self.model = Model(self.tenant)
        self.numbers = count(1)
        self.lossy = False
        self.sound = True
        """Whether the last move was one on which both agree: what comes after another says nothing."""
        self.made: dict[str, tuple[Any, ...]] = {}
        """What each run was enqueued with, by those who may say so again."""
        self.asked: dict[str, tuple[Any, ...]] = {}
        """What each worker fetched with last."""
        self.granted: list[Lease] = []
        """Every lease that a worker was ever told of: it may speak of it for ever."""
        self.beats: list[tuple[str, int]] = []
        self.views: list[tuple[str, int, int]] = []
        """What schedulers saw due, however long ago: job, due, revision."""
        self.sights: list[tuple[str, str]] = []
        """What callers saw of jobs: the job, its revision and when it was made."""
        self.won: set[tuple[str, str]] = set()

    def fresh(self, kind: str = "r") -> str:
        return f"{self.tenant}.{kind}{next(self.numbers)}"

    # -- one move ----------------------------------------------------------------------------------------------------

    def make(self, move: str, *args: Any) -> Any:
        """Make a move on both; the answers agree, and so does all that is there."""
        self.sound = False
        Machine.moves_made += 1
        before = {queue: list(runs) for queue, runs in self.model.queues.items()}
        try:
            answer = self.read(move, plain(self.server.call(move, self.tenant, *args)))
        except OverLimit as error:
            answer = type(error).__name__
        expected = getattr(self.model, move)(*args)
        expected = list(expected) if isinstance(expected, tuple) else expected
        if move == "look" and expected[0] is None:
            expected[0] = answer[0]  # an instant of the server's clock
        if answer and self.model.gone and move in {"fetch", "look"}:
            hints = 1 if move == "fetch" else 2
            expected[:hints] = answer[:hints]  # they may be of a run that is gone
        assert expected == answer, (move, args, expected, answer)
        self.settle()
        if move in UNORDERED:
            self.settle_order(before)
        self.agree()
        self.sound = True
        return answer

    def read(self, move: str, answer: Any) -> Any:
        """The part of an answer that the model gives, too."""
        match move:
            case "hello":
                return None
            case "fetch" if answer:
                runs = [(run[0], int(run[1]), int(run[3]), *run[4:6], int(run[7]), run[8]) for run in answer[2]]
                return [answer[1] if answer[1] in {-1, 100} else 1, runs]
            case "renew" if answer:
                return [answer[0], sorted(run for run in answer[1] if run not in self.model.gone)]
            case "log_page":
                return [*answer[:2], [line.rpartition("\t")[2] for line in answer[3][1::2]]]
            case "look":
                jobs = [(name, int(due), int(revision), tuple(more[3:])) for name, due, revision, *more in answer[4]]
                return [*answer[1:4], jobs]
            case _:
                return answer

    def settle(self) -> None:
        """Write over what the server's clock has set what the model takes for it."""
        for kind, of, at in self.model.clocked:
            run = self.model.runs.get(of)
            if kind == "due" and of in self.model.jobs:
                self.redis.zadd(keys.due(self.tenant), {of: at}, xx=True)
            elif kind == "delayed" and run:
                self.redis.zadd(keys.delayed(self.tenant, run.tag), {of: at}, xx=True)
            elif kind == "expires" and run and run.expires == at:
                self.expire_at(run, at)
        self.model.clocked.clear()

    def expire_at(self, run: Run, at: int) -> None:
        run.expires = at
        self.redis.hset(keys.run(self.tenant, run.id), "expires", at)
        self.redis.zadd(keys.expiring(self.tenant), {run.id: at}, xx=True)

    def settle_order(self, before: dict[tuple[str, int], list[str]]) -> None:
        """Write over the order in which the server has found a set, so that the same choices come to the same state."""
        for (tag, step), expected in list(self.model.queues.items()):
            key = keys.queue(self.tenant, tag, step)
            found = [run.decode() for run in self.redis.lrange(key, 0, -1)]
            actual = [run for run in found if run in self.model.runs and self.model.runs[run].place == "queue"]
            assert sorted(expected) == sorted(actual)
            was = [run for run in before.get((tag, step), []) if run in expected]
            assert was == [run for run in actual if run in was]
            new = iter(sorted(run for run in actual if run not in was))
            ordered = {run: run if run in was else next(new) for run in actual}
            if any(run != other for run, other in ordered.items()):
                self.redis.delete(key)
                self.redis.rpush(key, *(ordered.get(run, run) for run in found))
            self.model.queues[tag, step] = list(ordered.values())

    # -- what holds --------------------------------------------------------------------------------------------------

    @invariant()
    def agree(self) -> None:
        """What is in the server is what the model says; and the model keeps what is promised."""
        compare(self.model, Seen(self.redis, self.model, self.tags, (*WORKERS, LAST_WORKER), JOBS))
        promises(self.model)

    def teardown(self) -> None:
        """No key is another tenant's; what was said for one worker or chord goes with it; every run can still end."""
        if self.sound:
            self.check_keys()
            self.drain()

    def check_keys(self) -> None:
        model, tenant = self.model, self.tenant
        found = {name.decode() for name in self.redis.keys("*")}
        assert set() == {name for name in found if not name.startswith((keys.prefix(tenant), keys.limits(tenant)))}
        for name in WORKERS:
            if name not in model.workers and not model.gone:
                own = {keys.held(tenant, name), keys.worker(tenant, name), keys.cancels(tenant, name)}
                assert not own & found
        runs = {name.removeprefix(keys.run(tenant, "")) for name in found if name.startswith(keys.run(tenant, ""))}
        assert set(model.runs) == runs
        logs = {name.removeprefix(keys.log(tenant, "")) for name in found if name.startswith(keys.log(tenant, ""))}
        assert logs == {run for run, log in model.logs.items() if log.lines}
        chords = {name for name in found if ":chord:" in name}
        assert {keys.chord(tenant, group) for group in model.chords} == chords
        assert all(self.redis.pttl(name) > 0 for name in chords)
        self.check_ledger({name for name in found if "ledger:" in name})
        self.check_minutes({name for name in found if ":recent:" in name})

    def check_ledger(self, days: set[str]) -> None:
        """All that happened was counted, once, of the tenant and of its job."""
        ledger: Counter[tuple[str, str]] = Counter()
        for name in days:
            for field, times in self.redis.hgetall(name).items():
                job, _, what = field.decode().rpartition("|")
                ledger[job, what.partition(":")[0]] += int(times)
        for other in ("fields", "sum", "hit"):
            del ledger["", other]
        for job in self.model.timed:
            assert ledger[job, "ms"] >= self.model.ledger[job, "ms"]
            ledger[job, "ms"] = self.model.ledger[job, "ms"]
        assert +self.model.ledger == +ledger

    def check_minutes(self, hours: set[str]) -> None:
        """What ended was counted in its minute, too."""
        minutes: Counter[str] = Counter()
        for name in hours:
            assert self.redis.ttl(name) > 0
            for field, times in self.redis.hgetall(name).items():
                minutes[field.decode()[-2:]] += int(times)
        of = self.model.ledger
        unwell = sum(of["", state] for state in ("failed", "dead", "expired"))
        assert +Counter({"|s": of["", "succeeded"], "|f": unwell}) == +minutes

    def drain(self) -> None:
        """All that was ever made comes to its end by ordinary moves: nothing was lost, nothing is stuck."""
        for name in WORKERS:
            self.make("leave", name)
        for run in self.model.at("delayed"):
            self.pass_delay(run)
        for run in self.model.at("replaced"):
            self.age(run)
        for job in self.model.jobs.values():
            if self.lossy and self.model.goes(job.last):
                self.lose(self.model.runs[job.last])
        self.make("govern", "state", "", "running", "", "queued", "")
        self.make("hello", LAST_WORKER)
        for seq in count(1):
            self.make("look", 16)
            held = self.make("fetch", LAST_WORKER, seq, 64, "1", *self.tags)[1]
            if not held and not self.model.where(lambda run: run.goes):
                break
            assert seq <= 2 * len(self.model.runs) + 10, self.model.where(lambda run: run.goes)
            self.make("finish", *(value for run in held for value in (*run[:2], "succeeded", 1, "", "")))
        self.make("look", 16)
        assert set() == self.model.waiting
        for name in JOBS:
            assert 0 == self.redis.llen(keys.parked(self.tenant, name))

    def pass_delay(self, run: Run) -> None:
        run.at = next(self.numbers)
        self.redis.zadd(keys.delayed(self.tenant, run.tag), {run.id: run.at}, xx=True)

    def lose(self, run: Run) -> None:
        """Let a run not be there any more, as after a restored backup; what names it may still do so."""
        self.redis.delete(keys.run(self.tenant, run.id), keys.log(self.tenant, run.id))
        self.model.forget(run)

    def age(self, run: Run) -> None:
        """Let a run have ended long ago: the next move that trims the history takes it along."""
        index = keys.dead if run.place == "dead" else keys.ended
        self.redis.zadd(index(self.tenant), {run.id: 1}, xx=True)
        self.model.aged.add(run.id)
