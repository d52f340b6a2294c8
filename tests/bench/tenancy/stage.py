"""A server of its own with tenants, a scheduler and workers, as real processes; all of them end with it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen, TimeoutExpired
from typing import TYPE_CHECKING, Any, Self

from bench.sides import TESTS, Stock
from processes import BIN, SchedulerProcess, WorkerProcess
from redis import Redis
from taglane.client import Taglane
from taglane.model.limits import Limits
from taglane.store import functions
from taglane.store.limits import LimitStore
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TAG = "shared.small"
TASK = "bench.tasks.work"
PATIENCE = 300.0
SLOW_US = 10_000
"""A call of the server that takes longer keeps everybody waiting."""


class Worker(WorkerProcess):
    """One `taglane worker`, that logs nothing of single runs."""

    @property
    def command(self) -> list[str]:
        """What it runs."""
        return [*super().command[:-1], "WARNING"]


class Stage:
    """Starts what a measurement needs; as a context manager it ends all of it, by id.

    quiet  whether to do without a scheduler
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._stack = ExitStack()
        self._quiet = quiet

    def __enter__(self) -> Self:
        enter = self._stack.enter_context
        self._folder = Path(enter(tempfile.TemporaryDirectory(prefix="taglane-bench-")))
        self._diary = self._folder / "diary"
        self.url = enter(EmbeddedServer()).url
        self.redis: Any = enter(Redis.from_url(self.url))
        self.server = Server(self.url)
        self._stack.callback(self.server.close)
        self.client = Taglane(self.url)
        self._stack.callback(self.client.close)
        self.limits = LimitStore(self.server)
        self.urls: dict[str, str] = {}
        functions.load(self.redis)
        if not self._quiet:
            enter(self.scheduler()).wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def tenants(self, *names: str, **limits: Any) -> None:
        """Create tenants, with these limits."""
        tenants = Tenants(self.server)
        for name in names:
            self.urls[name] = tenants.create(name).url
            if limits:
                self.limits.put(name, Limits(**limits))

    def scheduler(self) -> SchedulerProcess:
        """A scheduler, not started yet."""
        return SchedulerProcess(self.url, {"TAGLANE_LEASE": "2s"})

    @contextmanager
    def worker(self, pool: str = "threads", concurrency: int = 4, tag: str = TAG, **env: str) -> Iterator[Worker]:
        """One worker of the pool, or of a tenant's own tag, while this lasts."""
        url = self.urls.get(tag, self.url)
        with Worker(url, [tag], "bench.tasks", pool, concurrency, self._environment | env) as worker:
            if pool != "auto":  # whose workers are its children
                worker.wait_ready()
            yield worker

    @contextmanager
    def celery_worker(self, queues: str, concurrency: int = 4) -> Iterator[None]:
        """Stock Celery, on threads as ours, while this lasts. It takes ahead no more than its slots."""
        stock = Stock(self.url)
        command = [*stock.worker("threads", concurrency), "-Q", queues]
        process = self.python(*command, BENCH_PREFETCH="1", **stock.environment)
        try:
            yield
        finally:
            end(process)

    def python(self, *command: str, **environment: str) -> Popen[str]:
        """Start a process; whoever starts it ends it. What it says lies in a file that `said` reads."""
        self._said = self._folder / f"said-{time.monotonic_ns()}"
        with self._said.open("w") as output:
            known = os.environ | self._environment | environment
            process = Popen([sys.executable, *command], env=known, text=True, stdout=output, stderr=DEVNULL)
        process.said = self._said  # type: ignore[attr-defined]
        return process

    def taglane(self, *command: str) -> float:
        """Run one command of the operator's, and answer how many seconds it took."""
        begin = time.monotonic()
        process = Popen([str(BIN / "taglane"), *command], env=os.environ | {"TAGLANE_URL": self.url}, stdout=DEVNULL)
        if process.wait(PATIENCE):
            raise RuntimeError(f"taglane {' '.join(command)} ended with {process.returncode}")
        return time.monotonic() - begin

    def enqueue(self, tenant: str, count: int, tag: str = TAG, ms: float = 2, **options: Any) -> None:
        """Let a tenant enqueue so many runs, that write themselves down and wait for *ms*."""
        params: dict[str, Any] = {"ms": ms, "who": tenant}
        for start in range(0, count, 20_000):
            many = [params] * min(20_000, count - start)
            self.client.enqueue_many(TASK, tenant=tenant, tag=tag, params=many, **options)

    def starts(self) -> list[tuple[str, float, float]]:
        """Who started: whose it was, when it was sent, when it started; in order of the starts."""
        lines = self._diary.read_text().splitlines() if self._diary.exists() else []
        found = [(who, float(sent), float(start)) for who, sent, start in (line.split() for line in lines)]
        return sorted(found, key=lambda entry: entry[2])

    def forget_starts(self) -> None:
        """Begin the diary anew; who writes goes on in it."""
        if self._diary.exists():
            os.truncate(self._diary, 0)

    def written(self) -> int:
        """How many bytes the diary has."""
        return self._diary.stat().st_size if self._diary.exists() else 0

    def watch_slow_calls(self) -> None:
        """Let the server note down its slow calls from now on."""
        self.redis.config_set("slowlog-log-slower-than", 1_000)
        self.redis.config_set("slowlog-max-len", 100_000)
        self.redis.slowlog_reset()

    def slowest_call(self) -> tuple[float, int]:
        """The longest call since then, ms, at least 1; and how many took over 10 ms."""
        entries = self.redis.slowlog_get(100_000)
        spent = [entry["duration"] for entry in entries if not entry["command"].startswith((b"SLOWLOG", b"CONFIG"))]
        return max(spent, default=1_000) / 1000, sum(each > SLOW_US for each in spent)

    @property
    def _environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(TESTS), "BENCH_DIARY": str(self._diary)}


def end(process: Popen[str]) -> str:
    """Let a process end, by its id: SIGTERM, after 20 s SIGKILL. Answers what it said."""
    process.terminate()
    try:
        process.wait(20)
    except TimeoutExpired:
        process.kill()
        process.wait()
    return Path(process.said).read_text()  # type: ignore[attr-defined]


def until(condition: Callable[[], object], what: str, patience: float = PATIENCE, pause: float = 0.02) -> float:
    """Wait until something holds; answers when that was, on the monotonic clock."""
    give_up = time.monotonic() + patience
    while not condition():
        if time.monotonic() > give_up:
            raise RuntimeError(f"not within {patience:g} s: {what}")
        time.sleep(pause)
    return time.monotonic()
