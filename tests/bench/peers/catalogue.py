"""Who is measured beside us, each in the settings that were best for it, and where its backlog is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.peers.peer import OnPostgres, Ours, Peer, Setting, Stock
from bench.peers.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from bench.peers.peer import Contender

FORGETS = {"BENCH_RESULTS": "0"}
QUIET = ["-n", "-q", "-C"]
"""huey without cron, log and health check."""


def huey(url: str, _stack: ExitStack) -> Contender:
    consumer = ["-m", "huey.bin.huey_consumer", "SCENE.app", "-w", "2", *QUIET]
    return Peer(
        "huey",
        url,
        {kind: [*consumer, "-k", kind] for kind in ("thread", "process")},
        [
            Setting("threads 2", "thread"),
            Setting("threads 2, no results", "thread", environment=FORGETS, patient=False),
            Setting("processes 2", "process"),
            Setting("processes 2, no results", "process", environment=FORGETS, patient=False),
        ],
        [("LLEN", "huey.redis.bench")],
        note="acknowledges early; callers are told of results in the latencies alone: that costs two commands more",
    )


def dramatiq(url: str, _stack: ExitStack) -> Contender:
    worker = ["-m", "dramatiq", "SCENE", "--processes", "2", "--threads", "8", "--skip-logging"]
    return Peer(
        "dramatiq",
        url,
        {"worker": worker},
        [
            Setting("2 x 8 threads", "worker"),
            Setting("2 x 8 threads, no results", "worker", environment=FORGETS, patient=False),
        ],
        [("HLEN", "dramatiq:default.msgs")],
    )


def taskiq(url: str, _stack: ExitStack) -> Contender:
    worker = ["-m", "taskiq", "worker", "SCENE:broker", "--workers", "2", "--log-level", "WARNING"]
    return Peer(
        "taskiq",
        url,
        {"worker": worker},
        [
            Setting("list, 2", "worker"),
            Setting("list, 2, no results", "worker", environment=FORGETS, patient=False),
        ],
        [("LLEN", "taskiq")],
        note="a list acknowledges early; callers poll each ms",
    )


def taskiq_stream(url: str, _stack: ExitStack) -> Contender:
    return TaskiqStream(url)


class TaskiqStream(Peer):
    """taskiq on a stream, which acknowledges late: what is left is the entries that its group has not acknowledged."""

    def __init__(self, url: str) -> None:
        worker = ["-m", "taskiq", "worker", "SCENE:broker", "--workers", "2", "--log-level", "WARNING"]
        super().__init__("taskiq", url, {"worker": worker}, [Setting("2", "worker")], ())
        self.name = "taskiq stream"
        self.note = "callers poll each ms"
        self.environment |= {"BENCH_STREAM": "1"}

    def backlog(self) -> int:
        """Entries that nobody read, and those that were read and not acknowledged."""
        for group in self._redis.xinfo_groups("taskiq"):
            return int(group["lag"] or 0) + int(group["pending"])
        return int(self._redis.xlen("taskiq"))


def saq(url: str, _stack: ExitStack) -> Contender:
    return Peer(
        "saq",
        url,
        {"worker": ["-m", "saq", "SCENE.settings", "--quiet"]},
        [Setting("2 x 10", "worker", processes=2)],
        [("LLEN", "saq:bench:queued"), ("LLEN", "saq:bench:active")],
        note="a job is its own result",
    )


def arq(url: str, _stack: ExitStack) -> Contender:
    return Peer(
        "arq",
        url,
        {"worker": ["-m", "SCENE"]},
        [
            Setting("2 x 100", "worker", processes=2),
            Setting("2 x 100, no results", "worker", processes=2, environment=FORGETS, patient=False),
        ],
        [("ZCARD", "arq:queue")],
        note="workers poll each 10 ms here, callers each ms",
    )


def rq(url: str, _stack: ExitStack) -> Contender:
    return Peer(
        "rq",
        url,
        {"worker": ["-m", "SCENE"]},
        [Setting("2 x SimpleWorker", "worker", processes=2)],
        [("LLEN", "rq:queue:bench"), ("ZCARD", "rq:wip:bench")],
        bulk=True,
        note="SimpleWorker forks no process a job",
    )


def procrastinate(url: str, stack: ExitStack) -> Contender:
    database = stack.enter_context(Postgres())
    settings = [Setting("2 x 10", "worker", processes=2)]
    return OnPostgres(database, url, settings, "on PostgreSQL without fsync; keeps jobs, not results")


def celery(url: str, _stack: ExitStack) -> Contender:
    return Stock(url)


def taglane(url: str, _stack: ExitStack) -> Contender:
    return Ours(url)


CATALOGUE: dict[str, Callable[[str, ExitStack], Contender]] = {
    "taglane": taglane,
    "celery": celery,
    "huey": huey,
    "dramatiq": dramatiq,
    "taskiq": taskiq,
    "taskiq stream": taskiq_stream,
    "saq": saq,
    "arq": arq,
    "rq": rq,
    "procrastinate": procrastinate,
}
