"""`make bench-pools`: which pool suits which work, runs a second of each, and the memory of its idle worker.

POOLS_WORK (all) and POOLS_SLOTS (2,10) name some of it, POOLS_ROUNDS (1) says how often; medians are printed.
"""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import report, sides
from bench.drain import drain
from bench.sides import Ours, Stock
from redis import Redis
from taglane_scheduler.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

POOLS = ("auto", "solo", "threads", "prefork")
STOCK = "celery prefork"
SECONDS = 2.0
"""How long each drain is to take, about."""


class Work(NamedTuple):
    """One kind of work."""

    what: str
    busy: float
    """Seconds that a run computes, with what its worker does around it: as many at once as there are cores."""
    slot: float
    """Seconds that it takes a slot."""

    def runs(self, slots: int) -> int:
        """How many keep a worker busy for a while."""
        return max(20, round(SECONDS * min((os.cpu_count() or 1) / self.busy, slots / self.slot)))


WORK = {
    "noop": Work("nothing", 0.0002, 0.0002),
    "crunch": Work("computes for 5 ms", 0.005, 0.005),
    "ask": Work("waits for 20 ms", 0.0003, 0.02),
    "both": Work("computes for 2 ms, waits for 10", 0.0022, 0.012),
}


class Bench:
    """Drains of each work by each pool, on one server."""

    def __init__(self, redis: Any, url: str) -> None:
        self._redis = redis
        self._ours = Ours(url)
        self._stock = Stock(url)
        self.rates: dict[tuple[str, str, int], list[float]] = {}
        """Runs a second by task, pool and slots, a value for each round."""

    def round(self, tasks: Sequence[str], slots: Sequence[int], *, shorter: int = 1) -> None:
        """Measure all of these once, with a part of the runs that take some seconds."""
        for task in tasks:
            for count in slots:
                for pool in (*POOLS, STOCK):
                    side, name = (self._stock, "prefork") if pool == STOCK else (self._ours, pool)
                    runs = max(20, WORK[task].runs(1 if pool == "solo" else count) // shorter)
                    done = drain(self._redis, side, name, task, runs, concurrency=count)
                    self.rates.setdefault((task, pool, count), []).append(done.rate)

    def memory(self, pool: str, slots: int) -> float:
        """MB that an idle worker takes, with its helpers; what they share counts once."""
        self._ours.clear()
        self._ours.fill("noop", 20)
        worker = sides.start(self._ours, self._ours.worker(pool, slots))
        try:
            while self._ours.backlog():
                if worker.poll() is not None:
                    raise RuntimeError(f"the worker ended: {sides.complaint()}")
            return sum(_proportional(pid) for pid in _family(worker.pid)) / 1e6
        finally:
            sides.end(worker)

    def lines(self) -> Iterator[str]:
        """The table: a line for each work and number of slots."""
        pools = (*POOLS, STOCK)
        yield f"{'':36}" + "".join(f"{pool:>16}" for pool in pools)
        for task, slots in dict.fromkeys((task, slots) for task, _, slots in self.rates):
            found = {pool: median(self.rates[task, pool, slots]) for pool in pools}
            best = max(found[pool] for pool in POOLS)
            figures = "".join(f"{found[pool]:>14,.0f}{' *' if found[pool] >= 0.9 * best else '  '}" for pool in pools)
            yield f"{WORK[task].what}, -c {slots}".ljust(36) + figures


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for thread in Path(f"/proc/{each}/task").iterdir():
            found += map(int, (thread / "children").read_text("ascii").split())
    return found


def _proportional(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def measure(tasks: Sequence[str], slots: Sequence[int], rounds: int, *, shorter: int = 1) -> Bench:
    """Measure on a server of its own, and print the report."""
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        command = f"POOLS_WORK={','.join(tasks)} POOLS_SLOTS={','.join(map(str, slots))} POOLS_ROUNDS={rounds}"
        for line in report.machine(redis, f"{command} make bench-pools"):
            print(line)
        bench = Bench(redis, server.url)
        for _ in range(rounds):
            bench.round(tasks, slots, shorter=shorter)
        print("runs a second; * within a tenth of the best of ours")
        for line in bench.lines():
            print(line)
        for count in slots:
            taken = ", ".join(f"{pool} {bench.memory(pool, count):.0f}" for pool in POOLS)
            print(f"MB of an idle worker, -c {count}: {taken}")
        return bench


if __name__ == "__main__":
    work, counts = os.environ.get("POOLS_WORK", ""), os.environ.get("POOLS_SLOTS", "2,10")
    measure(
        work.split(",") if work else list(WORK),
        [int(count) for count in counts.split(",")],
        int(os.environ.get("POOLS_ROUNDS", "1")),
    )
