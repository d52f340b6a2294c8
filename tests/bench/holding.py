"""`make bench-million`: what very many jobs cost, by how many: to apply them, to wait for them, to change one of them.

BENCH_JOBS (1000,10000,100000,1000000) are the sizes, a hundred jobs a tenant. Each has servers of its own. A fire, or a
change of one job, costs the same whatever else there is: it is made on a server of the smallest size and on that of
each other one in turns, since a machine may go at another pace some minutes later.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import DEVNULL, Popen
from typing import TYPE_CHECKING, Any

from bench import million, plot, report
from bench.tenancy.figures import Sheet
from processes import BIN, SchedulerProcess
from redis import Redis
from taglane.model.job import make_job
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.firing.firing import Firing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.million import Form

MB = 1_000_000
SAME = 1.2
"""How much more a thing may cost among many jobs than among few: the machine's own noise is a tenth."""

MANY = 100_000
"""Of fewer jobs, what a process or a server needs anyway is most of the figure."""

CHANGES = 1_000
"""Jobs that are added, edited and paused, one by one."""

FIRES, TENANTS_FIRED = 1_000, 10
ROUNDS = 10
SOON_MS = 400
"""How far ahead a job is due that was just put: it takes effect if it fires then."""

PLOTS = Path(__file__).parents[2] / "docs" / "performance"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    jobs: Sequence[int]
    settle_s: float = 32.0
    """Until every tenant was looked at once more after the start."""
    idle_s: float = 40.0
    changes: int = CHANGES
    seen: int = 20


class Scene:
    """The measurements of one size, on a server of its own.

    small  a server of the smallest size, None where this is it
    """

    def __init__(self, sheet: Sheet, jobs: int, small: Site | None, size: Size) -> None:
        self._sheet, self._jobs, self._small, self._size = sheet, jobs, small, size
        self._tenants = million.names(jobs)
        self.points: dict[str, float] = {}
        """What is drawn: MB and s, by what they are."""

    def measure(self) -> None:
        """Measure all."""
        with tempfile.TemporaryDirectory(prefix="taglane-bench-") as folder:
            for form in ("lists", "templates"):
                with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
                    self._apply(redis, server.url, Path(folder), form)
                    if form == "templates":
                        self._others(redis, server.url, Path(folder))
                        self._idle(redis, server.url)
                        self._costs(Site(redis, server.url, self._tenants))

    def note(
        self, what: str, value: float, unit: str, *, most: float | None = None, least: float | None = None
    ) -> None:
        """Note a figure of this size."""
        self._sheet.note(f"{self._jobs:,} jobs: {what}", value, unit, most=most, least=least)

    def _apply(self, redis: Any, url: str, folder: Path, form: Form) -> None:
        million.register(redis, self._tenants)
        before = redis.info("memory")["used_memory"]
        million.write_file(folder / "jobs.yaml", self._tenants, form)
        taken = self._command(redis, url, "apply", "-f", str(folder / "jobs.yaml"))
        held = redis.info("memory")["used_memory"] - before
        made = len(self._tenants) * million.EACH
        many = self._jobs >= MANY
        self.note(f"apply of {form}", made / taken.seconds, "jobs/s", least=5_000 if many else None)
        self.note(f"apply of {form}: its processor time a job", taken.cpu / made * 1e6, "us")
        self.note(f"apply of {form}: the server's", taken.server / made * 1e6, "us")
        self.note(f"apply of {form}: its memory at most", taken.peak / MB, "MB", most=200)
        self.note(f"memory of the server a job, of {form}", held / made, "bytes", most=1_024 if many else None)
        self.points |= {f"apply of {form}": taken.seconds, f"memory of apply, {form}": taken.peak / MB}
        self.points["memory of the server"] = held / MB

    def _others(self, redis: Any, url: str, folder: Path) -> None:
        path = folder / "jobs.yaml"
        for what, words in (("a second apply", ("apply", "-f", str(path))), ("an export", ("export",))):
            self._note_command(redis, url, what, *words)
        million.write_file(path, self._tenants, "templates", hour=4)
        self._note_command(redis, url, "a diff, a job in ten differs", "diff", "-f", str(path), code=1)

    def _note_command(self, redis: Any, url: str, what: str, *words: str, code: int = 0) -> None:
        taken = self._command(redis, url, *words, code=code)
        self.note(what, self._jobs / taken.seconds, "jobs/s")
        self.note(f"{what}: its memory at most", taken.peak / MB, "MB", most=200)
        self.points |= {what: taken.seconds, f"memory of {what}": taken.peak / MB}

    def _command(self, redis: Any, url: str, *words: str, code: int = 0) -> _Taken:
        before, begin = _server(redis), time.monotonic()
        process = Popen(
            [str(BIN / "taglane"), *words], env=os.environ | {"TAGLANE_URL": url}, stdout=DEVNULL, stderr=DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != code:
            raise RuntimeError(f"taglane {' '.join(words)} ended with {process.returncode}")
        return _Taken(seconds, used.ru_utime + used.ru_stime, _server(redis) - before, used.ru_maxrss * 1024)

    def _idle(self, redis: Any, url: str) -> None:
        begin = time.monotonic()
        with SchedulerProcess(url, {"TAGLANE_HEALTH": "127.0.0.1:0"}) as scheduler:
            scheduler.wait_ready()
            ready = time.monotonic() - begin
            self.note("scheduler ready after its start", ready, "s", most=5)
            time.sleep(self._size.settle_s)
            ours, theirs, begin = _cpu(scheduler.pid), _server(redis), time.monotonic()
            time.sleep(self._size.idle_s)
            seconds = time.monotonic() - begin
            self.note("idle scheduler", 100 * (_cpu(scheduler.pid) - ours) / seconds, "% of a core", most=2)
            self.note(
                "server beside an idle scheduler", 100 * (_server(redis) - theirs) / seconds, "% of a core", most=2
            )
            self._seen(redis, url)
            peak = _peak(scheduler.pid)
            self.note("memory of the scheduler at most", peak / MB, "MB", most=300)
        self.points |= {"scheduler ready": ready, "memory of the scheduler": peak / MB}

    def _seen(self, redis: Any, url: str) -> None:
        """Put jobs that are due at once, and edit some that are not: how late do they fire? Paused, they do not."""
        with _jobs(url) as jobs:
            late = {"added": list[float](), "edited": list[float]()}
            for number in range(self._size.seen):
                tenant = self._tenants[number * 7919 % len(self._tenants)]
                for what, name in (("added", f"seen-{number}"), ("edited", "job-000")):
                    due = _now(redis) + SOON_MS
                    jobs.put(make_job(tenant, name, task=million.TASK, at=due))
                    late[what].append(_fired_at(redis, tenant, name) - due)
            for what, values in late.items():
                self.note(f"a job that is {what}: its first fire is late by, at most", max(values), "ms", most=1_000)
            tenant = self._tenants[-1]
            jobs.put(make_job(tenant, "paused", task=million.TASK, at=_now(redis) + SOON_MS))
            jobs.pause(tenant, "paused")
            time.sleep(3 * SOON_MS / 1000)
            self.note("fires of a job that was just paused", redis.llen(keys.last(tenant, "paused")), "fires", most=0)

    def _costs(self, mine: Site) -> None:
        """Without a scheduler beside it, so that the server's time is that of what is asked alone."""
        sites = [mine, *([self._small] if self._small else [])]
        part = max(1, self._size.changes // ROUNDS)
        with ExitStack() as stack:
            doing = [Doing(stack.enter_context(_server_of(site.url)), site, part) for site in sites]
            for what in ("adding", "editing", "pausing"):
                self._hold(
                    f"{what} a job: the server's time", [[each.change(what) for each in doing] for _ in range(ROUNDS)]
                )
            fires = [[each.fire() for each in doing] for _ in range(ROUNDS)]
            self._hold("a fire: the scheduler's time", [[ours for ours, _ in turn] for turn in fires])
            self._hold("a fire: the server's time", [[theirs for _, theirs in turn] for turn in fires])

    def _hold(self, what: str, turns: Sequence[Sequence[float]]) -> None:
        """Note a figure, us, and how it stands to the same one of the smallest size, both from each turn."""
        value, *base = (median(values) for values in zip(*turns, strict=True))
        self.note(what, value, "us")
        if base:
            self.note(f"{what}, to that of the smallest size", value / base[0], "x", most=SAME)
        self.points[what] = value


@dataclass(frozen=True, slots=True)
class Site:
    """A server with jobs."""

    redis: Any
    url: str
    tenants: Sequence[str]


class Doing:
    """Changes and fires jobs of a site, some in each turn: answers what one costs, us."""

    def __init__(self, server: Server, site: Site, part: int) -> None:
        self._jobs, self._site, self._part = Jobs(server, million.PAYLOAD_LIMIT), site, part
        self._firing = Firing(server)
        self._made: dict[str, int] = {}
        self._fired = site.tenants[:TENANTS_FIRED]
        self._names = [f"fired-{number:03}" for number in range(FIRES // len(self._fired))]
        self._jobs.put_many(
            make_job(tenant, name, task=million.TASK, every="1h", overlap="allow")
            for tenant in self._fired
            for name in self._names
        )

    def change(self, what: str) -> float:
        """Add, edit or pause the next jobs."""
        begin = self._made.get(what, 0)
        self._made[what] = begin + self._part
        params = {"a": 1} if what == "editing" else {}
        tenants = self._site.tenants
        some = [
            make_job(
                tenants[number % len(tenants)], f"cost-{number}", task=million.TASK, cron="H 3 1 1 *", params=params
            )
            for number in range(begin, begin + self._part)
        ]
        before = _server(self._site.redis)
        for job in some:
            if what == "pausing":
                self._jobs.pause(job.tenant, job.name)
            else:
                self._jobs.put(job)
        return (_server(self._site.redis) - before) / self._part * 1e6

    def fire(self) -> tuple[float, float]:
        """Fire jobs of a few tenants: the scheduler's cost, and the server's."""
        redis = self._site.redis
        for tenant in self._fired:
            redis.zadd(keys.due(tenant), dict.fromkeys(self._names, _now(redis) - 1), xx=True)
        fired, server, process = 0, _server(redis), time.process_time()
        while fired < len(self._fired) * len(self._names):
            fired += self._firing.step(self._fired).fired
        return (time.process_time() - process) / fired * 1e6, (_server(redis) - server) / fired * 1e6


@dataclass(frozen=True, slots=True)
class _Taken:
    """What one command took: s, s of the processor, s of the server's, bytes at most."""

    seconds: float
    cpu: float
    server: float
    peak: float


@contextmanager
def _jobs(url: str) -> Iterator[Jobs]:
    with _server_of(url) as server:
        yield Jobs(server, million.PAYLOAD_LIMIT)


def _server_of(url: str) -> closing[Server]:
    return closing(Server(url))


def _now(redis: Any) -> int:
    seconds, micros = redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


def _fired_at(redis: Any, tenant: str, name: str) -> float:
    """When the first run of a job was made, ms: waits for it, ten seconds at most."""
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        if run := redis.lindex(keys.last(tenant, name), -1):
            return float(redis.zscore(keys.runs(tenant), run))
        time.sleep(0.02)
    raise RuntimeError(f"job {name} of {tenant} was due and did not fire")


def _server(redis: Any) -> float:
    """How many seconds the server has computed."""
    used = redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def _cpu(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _peak(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text("ascii", errors="replace").splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def measure(size: Size, plots: Path | None = None) -> Sheet:
    """Measure each size, the smallest first, and print the figures as they come."""
    sheet, drawn = Sheet(), dict[str, list[tuple[float, float]]]()
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        sizes = ",".join(map(str, size.jobs))
        for line in report.machine(redis, f"BENCH_JOBS={sizes} make bench-million"):
            print(line)
        small = Site(redis, server.url, million.names(min(size.jobs)))
        million.register(redis, small.tenants)
        with _server_of(server.url) as filled:
            million.fill(filled, small.tenants)
        for number, jobs in enumerate(sorted(size.jobs)):
            known, scene = len(sheet.figures), Scene(sheet, jobs, small if number else None, size)
            scene.measure()
            for what, value in scene.points.items():
                drawn.setdefault(what, []).append((jobs, value))
            for line in sheet.lines(known):
                print(line)
            sys.stdout.flush()
    print(f"{report.after()}; {sum(each.misses for each in sheet.figures.values())} aims missed")
    if plots is not None:
        _draw(plots, drawn)
    return sheet


def _draw(folder: Path, drawn: dict[str, list[tuple[float, float]]]) -> None:
    memory = {what: points for what, points in drawn.items() if what.startswith("memory")}
    costs = {what: points for what, points in drawn.items() if ": the " in what}
    seconds = {what: points for what, points in drawn.items() if what not in memory and what not in costs}
    for name, title, label, series in (
        ("holding-memory", "Memory, by the number of jobs", "MB", memory),
        ("holding-time", "What a command takes, by the number of jobs", "s", seconds),
        ("holding-cost", "Processor time of one thing, by the number of jobs", "us", costs),
    ):
        log_y = name != "holding-cost"
        plot.lines(folder / f"{name}.svg", title, "jobs", label, series, log_x=True, log_y=log_y)


if __name__ == "__main__":
    asked = os.environ.get("BENCH_JOBS", "1000,10000,100000,1000000")
    measure(Size([int(each) for each in asked.split(",")]), PLOTS)
