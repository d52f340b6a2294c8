"""`make bench-budget`: where a run's processor time goes: on the server by function, in a worker by thread and part.

BENCH_N (12,000) is how many runs are drained. The parts of a thread are shares of what `py-spy` has sampled, where that
is on PATH; the rest needs nothing but Linux.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import report, sides
from bench.sides import Ours
from redis import Redis
from taglane.client import Taglane
from taglane.store.leases import Leases
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POOLS = ("solo", "threads", "prefork", "auto")
BATCH = 64
"""Runs a call."""

PARTS = (
    ("taglane/model/envelope.py", "taglane: reading the envelope"),
    ("taglane/runtime/backend.py", "taglane: encoding the result"),
    ("taglane/runtime/transport.py", "taglane: handing out"),
    ("taglane/runtime/holdings.py", "taglane: leases, outbox, tally"),
    ("taglane/runtime/held.py", "taglane: leases, outbox, tally"),
    ("taglane/runtime/outbox.py", "taglane: leases, outbox, tally"),
    ("taglane/runtime/pace.py", "taglane: leases, outbox, tally"),
    ("taglane/runtime/tally.py", "taglane: leases, outbox, tally"),
    ("taglane/", "taglane: pool, carry, guard, limits"),
    ("kombu/asynchronous", "Celery: event loop, timers"),
    ("kombu/utils/eventio.py", "Celery: event loop, timers"),
    ("kombu/", "kombu: message, consumer"),
    ("celery/app/", "Celery: tracer"),
    ("celery/utils/", "Celery: tracer"),
    ("celery/loaders", "Celery: tracer"),
    ("celery/concurrency/", "Celery: pool"),
    ("billiard/", "Celery: pool"),
    ("celery/worker/", "Celery: strategy, request, state"),
    ("vine/", "Celery: strategy, request, state"),
    ("celery/", "Celery: strategy, request, state"),
    ("bench/", "the task"),
)
"""Whose a sample is: that of the innermost frame which one of these names."""


class Line(NamedTuple):
    """One line of the budget."""

    what: str
    us: float
    """Processor time a run."""
    commands: float | None = None
    """Commands a run, those inside of functions."""


def server_lines(url: str, runs: int, *, size: int = 100) -> Iterator[Line]:
    """What runs cost the server that are sent, fetched and ended in calls of `BATCH`, with params of so many bytes."""
    operator = Server(url)
    tenant_url = Tenants(operator).create("budget").url
    lane, leases = Taglane(tenant_url), Leases(Server(tenant_url), "budget", "one")
    leases.hello({}, ["budget"], ["bench.tasks.answer"])
    pid = int(operator.redis.info("server")["process_id"])
    params = [{"text": "x" * size}] * BATCH
    spent: Counter[str] = Counter()
    commands: Counter[str] = Counter()

    def measured(what: str, act: Callable[[], Any]) -> Any:
        calls, before = _commands(operator), sum(_threads(pid))
        answer = act()
        spent[what] += round(sum(_threads(pid)) - before)
        commands[what] += _commands(operator) - calls
        return answer

    for _ in range(max(1, runs // BATCH)):
        measured("enqueue_many", lambda: lane.enqueue_many("bench.tasks.answer", params=params))
        fetched = measured("fetch", lambda: leases.fetch(BATCH, ["budget"], idle=True))
        ends: list[Any] = []
        for each in fetched.deliveries:
            ends += [each.run, each.token, "succeeded", 1, '{"r":1}', ""]
        measured("finish", lambda: leases.say([("finish", ends)], lambda *_: None))  # noqa: B023 - called at once
    count = max(1, runs // BATCH) * BATCH
    for what in spent:
        yield Line(f"server: {what}, {BATCH} a call", spent[what] / count, commands[what] / count)
    lane.close()
    operator.close()


def _commands(server: Server) -> int:
    """How many commands the server has executed, those inside of functions too."""
    stats = server.redis.info("commandstats")
    return sum(entry["calls"] for name, entry in stats.items() if name not in ("cmdstat_info", "cmdstat_fcall"))


def _threads(pid: int) -> list[float]:
    """Processor time, us, of each thread of a process, the main one first."""
    threads = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda path: int(path.name))
    return [int((each / "schedstat").read_text("ascii").split()[0]) / 1000 for each in threads]


class Spent(NamedTuple):
    """Processor time of a worker, us, by whose it was."""

    main: float
    """The main threads: of all its processes where each serves by itself."""
    others: float
    """The threads beside them."""
    children: float


def _spent(worker: int, pool: str) -> Spent:
    main, others, children = 0.0, 0.0, 0.0
    for pid in _family(worker):
        first, *rest = _threads(pid)
        if pid == worker or pool == "auto":
            main, others = main + first, others + sum(rest)
        else:
            children += first + sum(rest)
    return Spent(main, others, children)


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for thread in Path(f"/proc/{each}/task").iterdir():
            found += map(int, (thread / "children").read_text("ascii").split())
    return found


def worker_lines(ours: Ours, pool: str, runs: int) -> Iterator[Line]:
    """What a run costs a worker with two slots, by its threads and processes, and by the parts of its main thread."""
    ours.clear()
    ours.fill("answer", runs)
    worker = sides.start(ours, ours.worker(pool, 2))
    try:
        _until(ours, worker, max(runs - 500, runs * 4 // 5))
        before, left = _spent(worker.pid, pool), ours.backlog()
        _until(ours, worker, left // 8)
        after, now = _spent(worker.pid, pool), ours.backlog()
        ours.fill("answer", 2 * runs)  # for the sampler, which stops the threads that it looks at
        shares = _sampled(_family(worker.pid)[1 if pool == "auto" else 0])
    finally:
        sides.end(worker)
    main, others, children = ((b - a) / max(1, left - now) for a, b in zip(before, after, strict=True))
    yield Line(f"{pool}: main thread", main)
    for part, share in shares:
        yield Line(f"{pool}:   {part}", share * main)
    yield Line(f"{pool}: its other threads", others)
    if pool == "prefork":
        yield Line(f"{pool}: child processes", children)


def _until(ours: Ours, worker: subprocess.Popen[str], left: int) -> None:
    while ours.backlog() > left:
        if worker.poll() is not None:
            raise RuntimeError(f"the worker ended: {sides.complaint()}")
        time.sleep(0.01)


def _sampled(pid: int) -> list[tuple[str, float]]:
    """The parts of a process's main thread, and their shares of its samples; nothing without py-spy."""
    if shutil.which("py-spy") is None:
        return []
    with tempfile.NamedTemporaryFile() as file:
        options = ["--gil", "--threads", "-r", "400", "-d", "2", "-f", "raw"]
        command = ["py-spy", "record", "-p", str(pid), *options, "-o", file.name]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        lines = Path(file.name).read_text("utf-8").splitlines()
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if "MainThread" in stack:
            found[_part(stack.split(";"))] += int(count)
    return [(part, count / found.total()) for part, count in found.most_common()]


def _part(stack: list[str]) -> str:
    for frame in reversed(stack):
        for place, part in PARTS:
            if f"({place}" in frame:
                return part
    return "Celery: event loop, timers"


def measure(runs: int) -> list[Line]:
    """Measure on a server of its own, and print the budget."""
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        for line in report.machine(redis, f"BENCH_N={runs} make bench-budget"):
            print(line)
        ours = Ours(server.url)
        found = [*server_lines(server.url, runs), *(each for pool in POOLS for each in worker_lines(ours, pool, runs))]
    print(f"{'us a run':>9} {'commands':>9}  what")
    for what, us, commands in found:
        print(f"{us:9.1f} {'' if commands is None else f'{commands:.2f}':>9}  {what}")
    return found


if __name__ == "__main__":
    measure(int(os.environ.get("BENCH_N", "12000")))
