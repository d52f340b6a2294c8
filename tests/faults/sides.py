"""The two sides of each scene: a server of its own for each, how work is sent to it, who serves it, what came of it."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from celery import Celery
from eventually import eventually
from faults.diary import Diary
from processes import BIN, WorkerProcess
from redis import Redis
from redis.exceptions import RedisError
from taglane import Taglane
from taglane.errors import TaglaneError
from taglane.store import keys
from taglane.store.server import Server
from taglane.store.workers import Workers
from taglane_scheduler.child_process import ChildProcess
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

TESTS = Path(__file__).resolve().parents[1]
TENANT = "acme"
LEASE = 2.0
"""Seconds; short, so that a scene need not last."""
UNANSWERED = 30.0
"""Seconds for which the harness itself asks a server again that is away."""

T = TypeVar("T")


class Member(WorkerProcess):
    """A worker of a scene, with all its processes."""

    def family(self) -> list[int]:
        """The ids of its processes, its own first."""
        found, new = [self.pid], [self.pid]
        while new:
            new = [child for pid in new for child in children_of(pid)]
            found += new
        return found

    def kill_all(self) -> float:
        """Kill all its processes at one stroke, as a lost machine does; answers when, on the monotonic clock."""
        os.killpg(self.pid, signal.SIGKILL)  # it was started in a session, so in a group, of its own
        at = time.monotonic()
        self.kill()
        return at

    def freeze_all(self) -> None:
        """Stop all its processes."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw_all(self) -> None:
        """Let them go on."""
        os.killpg(self.pid, signal.SIGCONT)


class StockMember(Member):
    """One `celery worker`."""

    @property
    def command(self) -> list[str]:
        """What it runs."""
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        options = ["-P", self.pool, "-c", str(self.concurrency), "-l", "INFO", "-n", f"{uuid.uuid4().hex}@%h"]
        return [str(BIN / "celery"), "-A", "faults.app_stock", "worker", *options, *quiet]

    def is_ready(self) -> bool:
        """Whether it takes messages."""
        return " ready." in self.log_text()


def children_of(pid: int) -> list[int]:
    """The ids of a process's children; none when it is gone."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").glob("*/children"))
        return [int(child) for task in tasks for child in task.read_text().split()]
    except OSError:
        return []


def paths() -> str:
    """Where our processes look for modules: in tests/ first."""
    return os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])


def asked(ask: Callable[[], T]) -> T:
    """Ask a server until it answers: the harness is not what is tested."""
    give_up = time.monotonic() + UNANSWERED
    while True:
        try:
            return ask()
        except (RedisError, TaglaneError):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)


class Side(ABC):
    """What both sides have: a server, a folder, a diary, and everything that is to be ended when the scene is over.

    Args:
        lease: seconds of silence after which a worker of ours counts as dead.
        visibility: seconds for which stock Celery may hold a message before it is delivered again.
        options: of the server.
        durable: whether what it is told outlives its death.
        scheduled: whether a scheduler of ours stands by.
    """

    name = ""
    patience = 0.0
    """Seconds without any progress after which nothing more is expected."""

    def __init__(
        self,
        *,
        lease: float = LEASE,
        visibility: float,
        options: Mapping[str, str] | None = None,
        durable: bool = False,
        scheduled: bool = False,
    ) -> None:
        self._stack = ExitStack()
        self._members: list[Member] = []
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="taglane-faults-")))
        self.diary = Diary(self.folder / "diary")
        self.lease, self.visibility, self.scheduled = lease, visibility, scheduled
        data = self.folder / "data" if durable else None
        self.server = EmbeddedServer(directory=data, options=options)

    def __enter__(self) -> Self:
        try:
            self._stack.enter_context(self.server)
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack, ThreadPoolExecutor() as pool:  # they take their time: all at once
            for ending in [pool.submit(member.term) for member in self._members]:
                ending.result()

    def member(self, pool: str = "prefork", concurrency: int = 2, port: int = 0) -> Member:
        """Start a worker, through a proxy at *port* if one is given; it ends with the scene."""
        member = self._stack.enter_context(self._member(pool, concurrency, port or self.server.port))
        self._members.append(member)
        return member

    def ready(self, member: Member) -> None:
        """Wait until a worker serves."""
        eventually(lambda: asked(lambda: self._is_ready(member)), 60, f"a worker did not start: {member.command}")

    def settle(self, runs: Collection[str], patience: float = 0.0) -> set[str]:
        """Wait until all have succeeded, or nothing moves any more; answers those that have not."""
        missing, moved, written = set(runs), time.monotonic(), -1
        while missing:
            done = asked(partial(self.succeeded, frozenset(missing)))
            lines = len(self.diary.entries())
            if done or lines != written:
                moved, written = time.monotonic(), lines
            missing -= done
            empty = 5.0 if not asked(self.left) else patience or self.patience
            if time.monotonic() - moved > empty:
                break
            time.sleep(0.1)
        return missing

    @abstractmethod
    def send(self, count: int, task: str = "work", **params: Any) -> list[str]:
        """Ask for that many runs; answers their ids."""

    @abstractmethod
    def succeeded(self, runs: Collection[str]) -> set[str]:
        """Those of *runs* whose caller would get a result."""

    @abstractmethod
    def results(self, runs: Sequence[str]) -> list[Any]:
        """The result of each run, None where there is none."""

    def fates(self, runs: Sequence[str]) -> dict[str, int]:  # noqa: ARG002 - Celery keeps nothing of a message
        """What the server says has become of runs, where it keeps that."""
        return {}

    def attempts(self, runs: Sequence[str]) -> dict[str, int]:  # noqa: ARG002 - Celery keeps no count of them
        """How often the server says to have given each run to a worker, where it keeps count."""
        return {}

    @abstractmethod
    def left(self) -> int:
        """How many runs wait or are held."""

    @abstractmethod
    def held_by(self, member: Member) -> set[str]:
        """The runs that a worker holds: those it executes, and those it has fetched ahead."""

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _member(self, pool: str, concurrency: int, port: int) -> Member: ...

    @abstractmethod
    def _is_ready(self, member: Member) -> bool: ...


class Ours(Side):
    """Taglane, under the credential of one tenant."""

    name = "taglane"
    patience = 40.0

    def _open(self) -> None:
        self._ids: dict[int, str] = {}
        self.operator = Server(self.server.url)
        self._stack.callback(self.operator.close)
        self.url = Tenants(self.operator).create(TENANT).url
        self.lane = Taglane(self.url)
        self._stack.callback(self.lane.close)
        self.scheduler: ChildProcess | None = None
        if self.scheduled:
            self.scheduler = ChildProcess(
                [str(BIN / "taglane"), "scheduler"],
                log=self.folder / "scheduler.log",
                environment={"TAGLANE_URL": self.server.url, "TAGLANE_LEASE": self._lease},
            )
            self._stack.callback(self.scheduler.end)

    def send(self, count: int, task: str = "work", **params: Any) -> list[str]:
        """Ask for that many runs; answers their ids."""
        made = asked(
            lambda: self.lane.enqueue_many(f"faults.tasks.{task}", tenant=TENANT, params=[params for _ in range(count)])
        )
        return [run.id for run in made]

    def succeeded(self, runs: Collection[str]) -> set[str]:
        """Those that are `succeeded`."""
        asking = list(runs)
        return {run for run, state in zip(asking, self._field(asking, "state"), strict=True) if state == b"succeeded"}

    def results(self, runs: Sequence[str]) -> list[Any]:
        """The result of each run, None where there is none."""
        return [json.loads(result)["r"] if result else None for result in self._field(runs, "result")]

    def fates(self, runs: Sequence[str]) -> dict[str, int]:
        """How many are in each state."""
        return dict(Counter(state.decode() if state else "gone" for state in self._field(runs, "state")))

    def attempts(self, runs: Sequence[str]) -> dict[str, int]:
        """How often each was leased, and not handed back."""
        return {run: int(count) for run, count in zip(runs, self._field(runs, "attempts"), strict=True)}

    def _field(self, runs: Sequence[str], field: str) -> list[Any]:
        pipeline = self.operator.redis.pipeline(transaction=False)
        for run in runs:
            pipeline.hget(keys.run(TENANT, run), field)
        values: list[Any] = pipeline.execute()
        return values

    def left(self) -> int:
        """How many runs wait, now or for their time, or are leased."""
        pipeline = self.operator.redis.pipeline(transaction=False)
        pipeline.llen(keys.queue(TENANT, TENANT, 0)).zcard(keys.delayed(TENANT, TENANT)).zcard(keys.leases(TENANT))
        return sum(pipeline.execute())

    def held_by(self, member: Member) -> set[str]:
        """What the server knows a worker to hold; also for a while after its death."""
        return {run.decode() for run in self.operator.redis.smembers(keys.held(TENANT, self._ids[member.pid]))}

    @property
    def _lease(self) -> str:
        return f"{round(self.lease * 1000)}ms"

    def _member(self, pool: str, concurrency: int, port: int) -> Member:
        environment = {
            "FAULTS_DIARY": str(self.diary.path),
            "TAGLANE_LEASE": self._lease,
            "PYTHONPATH": paths(),
        }
        url = self.url.replace(f":{self.server.port}/", f":{port}/")
        return Member(url, [TENANT], "faults.app_ours", pool, concurrency, environment)

    def _is_ready(self, member: Member) -> bool:
        for worker in Workers(self.operator).list(TENANT):
            if worker.pid == member.pid:
                self._ids[member.pid] = worker.id
        return member.pid in self._ids


class Stock(Side):
    """Celery as it comes, on kombu's redis transport and Celery's redis result backend."""

    name = "celery"
    patience = 30.0

    def _open(self) -> None:
        self._redis: Any = self._stack.enter_context(Redis.from_url(self.server.url))
        self._app = Celery("sender", broker=self.server.url)
        self._app.conf.update(task_serializer="json", accept_content=["json"])
        self._stack.callback(self._app.close)

    def send(self, count: int, task: str = "work", **params: Any) -> list[str]:
        """Ask for that many runs; answers their ids."""
        ids = [str(uuid.uuid4()) for _ in range(count)]
        with self._app.producer_pool.acquire(block=True) as producer:
            for each in ids:
                self._app.send_task(f"faults.tasks.{task}", kwargs=params, task_id=each, producer=producer)
        return ids

    def succeeded(self, runs: Collection[str]) -> set[str]:
        """Those with a result that is a success."""
        asking = list(runs)
        return {run for run, meta in zip(asking, self._metas(asking), strict=True) if meta.get("status") == "SUCCESS"}

    def results(self, runs: Sequence[str]) -> list[Any]:
        """The result of each run, None where there is none."""
        return [meta.get("result") for meta in self._metas(runs)]

    def _metas(self, runs: Sequence[str]) -> list[dict[str, Any]]:
        found = self._redis.mget([f"celery-task-meta-{run}" for run in runs]) if runs else []
        return [json.loads(meta) if meta else {} for meta in found]

    def left(self) -> int:
        """How many messages are not acknowledged: those that wait, and those that kombu keeps as unacked."""
        return sum(self._redis.pipeline(transaction=False).llen("celery").zcard("unacked_index").execute())

    def held_by(self, member: Member) -> set[str]:
        """What a worker says that it has received, and has not ended."""
        marker = "Task faults.tasks.work["
        lines = [line.partition(marker)[2] for line in member.log_text().splitlines() if "] received" in line]
        received = {line.partition("]")[0] for line in lines}
        return received - {entry.run for entry in self.diary.entries() if entry.what == "end"}

    def _member(self, pool: str, concurrency: int, port: int) -> Member:
        environment = {
            "FAULTS_DIARY": str(self.diary.path),
            "FAULTS_URL": self.server.url.replace(f":{self.server.port}/", f":{port}/"),
            "FAULTS_VISIBILITY": str(self.visibility),
            "PYTHONPATH": paths(),
        }
        return StockMember(self.server.url, [TENANT], None, pool, concurrency, environment)

    def _is_ready(self, member: Member) -> bool:
        return isinstance(member, StockMember) and member.is_ready()
