"""The two sides of each comparison: how each is filled, watched, and how its workers and producers are started.

Both live on one server, ours in database 0 as the tenant's ACL user, stock Celery in database 1.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from bench import tree
from redis import Redis
from taglane.client import Taglane
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.tenancy.tenants import Tenants

TESTS = Path(__file__).resolve().parents[1]
TENANT = "bench"
LOG = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as this process lasts
POOLS = ("prefork", "threads", "solo")


class Side(Protocol):
    """What is measured."""

    name: str
    python: str
    """The interpreter of its processes."""
    environment: dict[str, str]

    def clear(self) -> None: ...
    def fill(self, task: str, runs: int) -> None: ...
    def backlog(self) -> int: ...
    def worker(self, pool: str, concurrency: int) -> list[str]: ...


def start(side: Side, command: list[str], **environment: str) -> subprocess.Popen[str]:
    """Start a process of one side; whoever starts it ends it. What it says lies in LOG, which `complaint` reads."""
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    known = {**os.environ, **side.environment, **environment, "PYTHONPATH": os.pathsep.join(paths)}
    LOG.seek(0)
    LOG.truncate()
    return subprocess.Popen([side.python, *command], env=known, text=True, stdout=subprocess.PIPE, stderr=LOG)


def complaint() -> str:
    """The last that a process said, for an error: Celery warns of much at every start, so nobody hears it before."""
    LOG.seek(0)
    return LOG.read()[-2000:].decode(errors="replace")


def end(process: subprocess.Popen[str]) -> None:
    """Let a process end, by its id: SIGTERM, after 10 s SIGKILL, for its children too."""
    family = [*tree.descend(process.pid)]
    process.terminate()
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


class Ours:
    """Taglane, under the credential of one tenant: of a new one, unless its *url* is given."""

    name = "taglane"
    python = sys.executable

    def __init__(self, operator_url: str, url: str | None = None) -> None:
        url = url or Tenants(Server(operator_url)).create(TENANT).url
        self.environment = {"BENCH_URL": url, "BENCH_TENANT": TENANT}
        self._redis: Any = Redis.from_url(operator_url)
        self._lane = Taglane(url)
        self._queue = keys.queue(TENANT, TENANT, 0)
        self._leases = keys.leases(TENANT)

    def clear(self) -> None:
        """Leave nothing; the user and the function library are no keys."""
        self._redis.flushdb()

    def fill(self, task: str, runs: int) -> None:
        """Enqueue that many runs."""
        self._lane.enqueue_many(f"bench.tasks.{task}", params=({} for _ in range(runs)))

    def backlog(self) -> int:
        """How many runs have not ended: those that wait, and those that are leased."""
        return sum(self._redis.pipeline(transaction=False).llen(self._queue).zcard(self._leases).execute())

    def worker(self, pool: str, concurrency: int) -> list[str]:
        """The command of one worker."""
        return ["-m", "bench.worker_ours", pool, str(concurrency)]


class Stock:
    """Celery as it comes, on kombu's redis transport and Celery's redis result backend."""

    name = "celery"
    python = sys.executable

    def __init__(self, operator_url: str) -> None:
        url = operator_url.removesuffix("/0") + "/1"
        self.environment = {"BENCH_URL": url}
        self._redis: Any = Redis.from_url(url)
        self._templates: dict[str, bytes] = {}

    def clear(self) -> None:
        """Leave nothing."""
        self._redis.flushdb()

    def fill(self, task: str, runs: int) -> None:
        """Write the very message that `apply_async` writes, that many times, each with ids of its own."""
        template = self._templates.get(task) or self._template(task)
        for first in range(0, runs, 1000):
            messages = [_renamed(template) for _ in range(min(1000, runs - first))]
            self._redis.lpush("celery", *messages)

    def _template(self, task: str) -> bytes:
        self.clear()
        producer = start(self, ["-m", "bench.produce", "celery", "send", task, "1"])
        producer.communicate(timeout=60)
        (message,) = self._redis.lrange("celery", 0, -1)
        self.clear()
        self._templates[task] = message
        return bytes(message)

    def backlog(self) -> int:
        """How many messages are not acknowledged: those that wait, and those that kombu keeps as unacked."""
        return sum(self._redis.pipeline(transaction=False).llen("celery").zcard("unacked_index").execute())

    def worker(self, pool: str, concurrency: int) -> list[str]:
        """The command of one worker."""
        quiet = ["-l", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        return ["-m", "celery", "-A", "bench.app_stock", "worker", "-P", pool, "-c", str(concurrency), *quiet]


def _renamed(message: bytes) -> bytes:
    loaded = json.loads(message)
    fresh = str(uuid.uuid4())
    loaded["headers"]["id"] = loaded["headers"]["root_id"] = loaded["properties"]["correlation_id"] = fresh
    loaded["properties"]["delivery_tag"] = str(uuid.uuid4())
    return json.dumps(loaded).encode()
