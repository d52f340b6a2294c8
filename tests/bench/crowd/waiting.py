"""What very many tenants cost that do nothing, with a waiting worker each: memory, processor time, latency."""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING, Any

from bench.sides import TESTS
from bench.tenancy.figures import percentile
from bench.tenancy.stage import until
from processes import SchedulerProcess
from redis import Redis
from taglane.client import Taglane
from taglane.store import functions, keys
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.record import Record
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.crowd.size import Size
    from bench.tenancy.figures import Sheet

LINES = 2
"""Connections of one waiting worker."""

SPARE = 200
"""Files that a process has beside its connections."""

BATCH = 500

LEASE_S = 15.0


def waiting(sheet: Sheet, size: Size) -> None:
    """Measure a server that holds the tenants, then with their workers, then with a scheduler, then at work."""
    files = open_files()
    workers = min(size.tenants, (files - SPARE) // LINES)
    if workers < size.tenants:
        print(f"a process may open {files:,} files here: {workers:,} of {size.tenants:,} tenants have a waiting worker")
    names = [f"t{number:05}" for number in range(size.tenants)]
    options = {"maxclients": str(LINES * workers + SPARE // 2)}
    with EmbeddedServer(options=options) as running, Redis.from_url(running.url) as redis:
        server = Server(running.url)
        functions.load(redis)
        empty = _memory(redis)
        passwords = enter(server, names)
        known = _memory(redis)
        sheet.note("server memory, a tenant's record and user", (known - empty) / size.tenants, "bytes")
        sheet.note("server time with nobody there", processor(redis, size.idle_s), "ms/s")
        with idlers(running, names[:workers], passwords) as crowd:
            there = _memory(redis)
            sheet.note("server memory, a waiting worker with its connections", (there - known) / workers, "bytes")
            sheet.note("server memory, all of it", there / 1e6, "MB")
            _idle(sheet, redis, size, workers, "waiting workers")
            with SchedulerProcess(running.url, {"TAGLANE_LEASE": "15s"}) as scheduler:
                scheduler.wait_ready(120.0)
                time.sleep(size.settle_s)
                began, before = time.monotonic(), spent(scheduler.pid)
                _idle(sheet, redis, size, workers, "waiting workers and a scheduler")
                passed = time.monotonic() - began
                share = (spent(scheduler.pid) - before) / passed
                sheet.note("the scheduler itself", share * 1e6 / size.tenants, "us/s each")
                sheet.note("the scheduler itself, in all", share * 100, "% of a core")
                sheet.note("memory of the scheduler", resident(scheduler.pid) / 1e6, "MB")
                waits = latencies(server, crowd, names[:workers], size.probes)
                for percent in (50, 99):
                    found = percentile(waits, percent)
                    sheet.note(f"enqueue to taken in the middle of it, p{percent}", found, "ms")
        server.close()


def open_files() -> int:
    """How many files a process may open: raised to what the system lets us have, also for those that we start."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def enter(server: Server, names: Sequence[str]) -> dict[str, str]:
    """Make tenants, whose passwords are returned: as `taglane tenant create` does, many at once."""
    passwords = {name: f"password-of-{name}" for name in names}
    for start in range(0, len(names), BATCH):
        some = {
            name: Record(created=1, password_hashes=(hashlib.sha256(passwords[name].encode()).hexdigest(),)).to_json()
            for name in names[start : start + BATCH]
        }
        server.redis.hset(keys.TENANTS, mapping=some)
    Tenants(server).apply_all()
    return passwords


class Crowd:
    """The process with the waiting workers, and what they took."""

    def __init__(self, process: Popen[str]) -> None:
        self._process = process
        self.ready = threading.Event()
        self.taken: dict[str, float] = {}
        self._listens = threading.Thread(target=self._listen, daemon=True)
        self._listens.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, *rest = line.split()
            if word == "ready":
                self.ready.set()
            else:
                self.taken[rest[0]] = float(rest[1])

    def end(self) -> None:
        """End it, by its id."""
        self._process.kill()
        self._process.wait()
        self._listens.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def gone(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None


@contextmanager
def idlers(running: EmbeddedServer, names: Sequence[str], passwords: dict[str, str]) -> Iterator[Crowd]:
    """Let each of these tenants have a waiting worker, while this lasts."""
    with tempfile.TemporaryDirectory(prefix="taglane-bench-") as folder:
        file = Path(folder) / "tenants"
        file.write_text("".join(f"{name} {passwords[name]}\n" for name in names))
        crowd = Crowd(_python("-m", "bench.crowd.idlers", str(file), str(running.port), str(LEASE_S)))
        try:
            until(lambda: crowd.ready.is_set() or crowd.gone(), "the waiting workers", 300.0)
            if crowd.gone():
                raise RuntimeError("the waiting workers have ended")
            yield crowd
        finally:
            crowd.end()


def latencies(server: Server, crowd: Crowd, names: Sequence[str], probes: int) -> list[float]:
    """Enqueue one run for one tenant after the other; answer, in ms, how long after that each was taken."""
    lane = Taglane(server.url)
    sent = {}
    for number in range(probes):
        tenant = names[number * 7919 % len(names)]
        at = time.monotonic()
        sent[lane.enqueue("shop.tasks.report", tenant=tenant).id] = at
        time.sleep(0.02)
    until(lambda: sent.keys() <= crowd.taken.keys(), "the probes to be taken", 30.0)
    lane.close()
    return [1000 * (crowd.taken[run] - at) for run, at in sent.items()]


def _python(*command: str) -> Popen[str]:
    paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return Popen([sys.executable, *command], env=os.environ | {"PYTHONPATH": paths}, text=True, stdout=PIPE)


def _idle(sheet: Sheet, redis: Any, size: Size, workers: int, what: str) -> None:
    """Note what the server does while nothing happens."""
    before, began = called(redis), time.monotonic()
    used = processor(redis, size.idle_s)
    each = (called(redis) - before) / (time.monotonic() - began) / workers
    sheet.note(f"server time, {workers:,} {what}", used * 1000 / workers, "us/s each")
    sheet.note(f"functions and waits called, {workers:,} {what}", each, "/s each")


def called(redis: Any) -> int:
    """How many functions were called, and waits begun, which is all that a waiting worker asks."""
    stats = redis.info("commandstats")
    return sum(stats[f"cmdstat_{name}"]["calls"] for name in ("fcall", "blpop") if f"cmdstat_{name}" in stats)


def processor(redis: Any, seconds: float) -> float:
    """How many ms of a second the server computes, for so many seconds."""
    before, began = _processor(redis), time.monotonic()
    time.sleep(seconds)
    return (_processor(redis) - before) / (time.monotonic() - began) * 1000


def _processor(redis: Any) -> float:
    used = redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def _memory(redis: Any) -> float:
    return float(redis.info("memory")["used_memory"])


def spent(pid: int) -> float:
    """The processor time of a process so far, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """The memory of a process, bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
