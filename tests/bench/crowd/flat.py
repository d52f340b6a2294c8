"""Whether memory is flat: the server's over a million runs, a worker's and a scheduler's over a long drain."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import plot
from bench.crowd.waiting import resident
from bench.tenancy.stage import Stage, until
from factories import make_job
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.leases import Leases

if TYPE_CHECKING:
    from bench.crowd.size import Size
    from bench.tenancy.figures import Sheet
    from taglane.model.envelope import Delivery

TENANTS = ("acme", "globex")
BATCH = 500
"""Runs of one round: what is sent together, and is ended together."""

JOBS = 20
LINE = "5\tINFO\t-\tshop\tthe order is on its way"
LOGGED = 10
"""Runs of a round that log a line."""

KEPT = 100_000
"""Runs that are kept of a tenant: until each has as many, memory grows."""

READINGS = 100
MOST_GROWTH = 1.03
PLOTS = Path(__file__).parents[3] / "docs" / "performance"


@dataclass
class Diary:
    """What was measured, after how many runs: MB."""

    points: list[tuple[float, float]] = field(default_factory=list)

    def note(self, runs: int, size: float) -> None:
        """Note one reading."""
        self.points.append((runs, size / 1e6))

    def growth(self, since: float) -> float:
        """How many times the mean of its first quarter, from so many runs on, that of its last quarter is."""
        values = [size for runs, size in self.points if runs >= since] or [self.points[-1][1]]
        some = max(1, len(values) // 4)
        return (sum(values[-some:]) / some) / (sum(values[:some]) / some)


def flat(sheet: Sheet, size: Size) -> None:
    """Let many runs come and end, in this process, for speed: as a worker and a client speak to the server."""
    with Stage(quiet=True) as stage:
        diary = Diary()
        flows = [Flow(stage, tenant) for tenant in TENANTS]
        done = 0
        began = time.monotonic()
        while done < size.runs:
            done += sum(flow.round() for flow in flows)
            if done >= len(diary.points) * size.runs / READINGS:
                diary.note(done, stage.redis.info("memory")["used_memory"])
        seconds = time.monotonic() - began
        said = ", ".join(f"{name} {count:,}" for name, count in sorted(_families(stage.redis).items()))
        print(f"{done:,} runs of {len(TENANTS)} tenants in {seconds:.0f} s; keys that are left: {said}")
        full = min(KEPT * len(TENANTS) * 1.1, size.runs / 2)
        what = f"server memory, {done:,} runs"
        sheet.note(f"{what}: at its end", diary.points[-1][1], "MB")
        sheet.note(f"{what}: at its most", max(mb for _, mb in diary.points), "MB")
        sheet.note(f"{what}: its end beside {full:,.0f} runs", diary.growth(full), "x", most=MOST_GROWTH)
        _draw(size, "memory-server", "Server memory over a million runs", {"the server": diary})


def long_drain(sheet: Sheet, size: Size) -> None:
    """Let a real worker execute many runs, beside a real scheduler, and look at the memory of both."""
    with ExitStack() as stack:
        stage = stack.enter_context(Stage(quiet=True))
        scheduler = stack.enter_context(stage.scheduler())
        scheduler.wait_ready()
        stage.tenants("acme")
        worker = stack.enter_context(stage.worker("solo", 1, tag="acme"))
        diaries = {"a worker, solo": (worker.pid, Diary()), "a scheduler": (scheduler.pid, Diary())}
        sent = 0
        while sent < size.drained:
            stage.client.enqueue_many("bench.tasks.answer", tenant="acme", params=({} for _ in range(size.portion)))
            sent += size.portion
            until(lambda: _left(stage) < size.portion // 4, "the runs to be executed", pause=0.1)
            for pid, diary in diaries.values():
                diary.note(sent, resident(pid))
        for name, (_, diary) in diaries.items():
            what = f"memory of {name}, {sent:,} runs"
            sheet.note(f"{what}: at its end", diary.points[-1][1], "MB")
            sheet.note(f"{what}: its end beside a quarter of them", diary.growth(sent / 4), "x", most=MOST_GROWTH)
        shown = {name: diary for name, (_, diary) in diaries.items()}
        _draw(size, "memory-processes", "Memory of a worker and a scheduler over a long drain", shown)


class Flow:
    """One tenant's runs: of every kind that leaves something behind."""

    def __init__(self, stage: Stage, tenant: str) -> None:
        self._stage, self._tenant = stage, tenant
        self._leases = Leases(stage.server, tenant, f"{tenant}@flow")
        self._leases.hello({"slots": BATCH}, [tenant], [])
        self._jobs = Jobs(stage.server, 1_000_000)
        self._round = 0
        for number in range(JOBS):
            self._jobs.put(make_job(f"job-{number}", tenant=tenant, task="shop.tasks.report"))

    def round(self) -> int:
        """Send runs, execute them, end them; answers how many."""
        self._round += 1
        self._stage.client.enqueue_many(
            "shop.tasks.report", tenant=self._tenant, params=({"order": n} for n in range(BATCH - 2)), expires="1h"
        )
        self._stage.client.enqueue("shop.tasks.report", tenant=self._tenant, key=f"order-{self._round}")
        self._jobs.trigger(self._tenant, f"job-{self._round % JOBS}")
        fetched = self._leases.fetch(BATCH, [self._tenant], idle=True)
        assert fetched is not None
        ended: list[Any] = []
        for number, delivery in enumerate(fetched.deliveries):
            ended += self._end(number, delivery)
        logged = [("log", self._line(delivery)) for delivery in fetched.deliveries[:LOGGED]]
        self._leases.say([*logged, ("finish", ended)], lambda _move, _answer: None)
        return len(fetched.deliveries)

    def _line(self, delivery: Delivery) -> list[Any]:
        return [delivery.run, delivery.token, 1, 1, 0, 1000, 100_000, LINE]

    def _end(self, number: int, delivery: Delivery) -> list[Any]:
        """Most succeed; as many are given up that dead letters reach their bound when the history does."""
        if number % 10 == 7:
            kind, result = "dead", '{"e":{"exc_type":"ValueError","exc_message":["out of stock"]}}'
        elif number % 20 == 3:
            kind, result = "failed", '{"e":{"exc_type":"ValueError","exc_message":["out of stock"]}}'
        else:
            kind, result = "succeeded", '{"r":{"order":"is on its way"}}'
        return [delivery.run, delivery.token, kind, 5, result, ""]


def _left(stage: Stage) -> int:
    return int(stage.redis.llen(keys.queue("acme", "acme", 0)))


def _families(redis: Any) -> Counter[str]:
    """How many keys there are of each kind."""
    return Counter(key.decode().split("}:")[-1].split(":")[0] for key in redis.scan_iter(count=10_000))


def _draw(size: Size, name: str, title: str, diaries: dict[str, Diary]) -> None:
    if size.draws:
        plot.lines(PLOTS / f"{name}.svg", title, "runs", "MB", {what: diary.points for what, diary in diaries.items()})
