"""The measurements of one run, ours and theirs in turn, as plain figures."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench import sides
from bench.applies import applies
from bench.drain import Drain, drain
from bench.fires import fires
from bench.start import start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.sides import Ours, Side, Stock

PREFETCHES = ("4", "64")
"""Stock Celery's default, and one that suits short tasks."""


@dataclass(slots=True)
class Comparison:
    """One line of the report: what ours did and what theirs did, a value for each round."""

    what: str
    unit: str
    aim: float | None = None
    """How many times theirs ours is to be."""
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    notes: dict[str, Drain] = field(default_factory=dict)
    """The last drain of each side, by its name."""


class Rounds:
    """Runs every measurement once a round, on one server.

    Args:
        redis: the operator's client.
        url: the operator's.
        ours: one side.
        stock: the other.
        runs: how many to drain and to send.
        say: told what is being measured.
    """

    def __init__(
        self, redis: Any, url: str, ours: Ours, stock: Stock, *, runs: int, say: Callable[[str], None]
    ) -> None:
        self._redis = redis
        self._url = url
        self._ours = ours
        self._stock = stock
        self._runs = runs
        self._say = say
        self._prefetch: dict[str, str] = {}
        self.comparisons: dict[str, Comparison] = {}

    def round(self) -> None:
        """Measure everything once."""
        self._drains()
        self._sends()
        self._latencies()
        self._starts()
        self._fires()
        self._applies()

    def choose_prefetch(self) -> Mapping[str, str]:
        """Find, for each pool, the prefetch at which stock Celery drains faster."""
        for pool in sides.POOLS:
            runs = max(200, self._runs // 4)
            rates = {
                each: drain(self._redis, self._stock, pool, "noop", runs, environment={"BENCH_PREFETCH": each}).rate
                for each in PREFETCHES
            }
            self._prefetch[pool] = max(rates, key=lambda each: rates[each])
            self._say(f"stock {pool}: " + ", ".join(f"prefetch {each} {rate:.0f}/s" for each, rate in rates.items()))
        return self._prefetch

    def _drains(self) -> None:
        for task, kept in (("noop", "no results"), ("answer", "results")):
            prefork = self._drain(self._stock, "prefork", task)
            for pool, aim in (("prefork", 3.0), ("threads", 5.0), ("solo", 5.0)):
                theirs = prefork if pool == "prefork" else self._drain(self._stock, pool, task)
                self._note(f"drain {pool}, {kept}", aim, self._drain(self._ours, pool, task), theirs)
            auto = self._drain(self._ours, "auto", task)
            self._note(f"drain auto vs prefork, {kept}", 4.0, auto, prefork)

    def _drain(self, side: Side, pool: str, task: str) -> Drain:
        self._say(f"{side.name} {pool} {task}")
        prefetch = self._prefetch.get(pool, PREFETCHES[-1])
        return drain(self._redis, side, pool, task, self._runs, environment={"BENCH_PREFETCH": prefetch})

    def _note(self, what: str, aim: float, ours: Drain, theirs: Drain) -> None:
        line = self._line(what, "runs/s", aim)
        line.ours.append(ours.rate)
        line.theirs.append(theirs.rate)
        line.notes = {self._ours.name: ours, self._stock.name: theirs}

    def _sends(self) -> None:
        plain = self._rate(self._stock, "send", "noop", BENCH_RESULTS="0")
        kept = self._rate(self._stock, "send", "answer")
        one = self._rate(self._ours, "send", "answer")
        through_celery = self._rate(self._ours, "apply_async", "answer")
        many = self._rate(self._ours, "many", "answer")
        for what, aim, ours, theirs in (
            ("enqueue vs apply_async, results", 3.0, one, kept),
            ("enqueue vs apply_async, no backend", 3.0, one, plain),
            ("apply_async on taglane vs stock, results", None, through_celery, kept),
            ("enqueue_many vs apply_async, results", 15.0, many, kept),
            ("enqueue_many vs apply_async, no backend", 15.0, many, plain),
        ):
            line = self._line(what, "runs/s", aim)
            line.ours.append(ours)
            line.theirs.append(theirs)

    def _rate(self, side: Side, way: str, task: str, **environment: str) -> float:
        self._say(f"{side.name} {way} {task}")
        side.clear()
        count = self._runs if way == "many" else max(50, self._runs // 4)
        return count / float(produced(side, way, task, count, **environment)["seconds"])

    def _latencies(self) -> None:
        count = max(20, min(200, self._runs // 50))
        for pool in sides.POOLS:
            found = [self._latency(side, pool, count) for side in (self._ours, self._stock)]
            for which, name in (("starts", "start"), ("results", "result")):
                for percent in (50, 99):
                    line = self._line(f"{pool}: enqueue to {name}, p{percent}", "ms")
                    line.ours.append(_percentile(found[0][which], percent) * 1000)
                    line.theirs.append(_percentile(found[1][which], percent) * 1000)

    def _latency(self, side: Side, pool: str, count: int) -> dict[str, list[float]]:
        self._say(f"{side.name} {pool} latency")
        side.clear()
        worker = sides.start(side, side.worker(pool, 2))
        try:
            found: dict[str, list[float]] = produced(side, "wait", "started", count)
        finally:
            sides.end(worker)
        return found

    def _starts(self) -> None:
        for pool in (*sides.POOLS, "auto"):
            self._say(f"start {pool}")
            theirs = start(self._stock, "prefork" if pool == "auto" else pool)
            ours = start(self._ours, pool)
            what = "auto vs prefork" if pool == "auto" else pool
            for name, unit, aim, mine, other in (
                ("start to first run", "ms", None, ours.first_ms, theirs.first_ms),
                ("idle worker, RSS", "MB", 1.0, ours.rss, theirs.rss),
                ("idle worker, PSS", "MB", 1.0, ours.pss, theirs.pss),
            ):
                line = self._line(f"{what}: {name}", unit, aim)
                line.ours.append(mine)
                line.theirs.append(other)

    def _fires(self) -> None:
        jobs = max(20, min(10_000, self._runs // 2))
        self._say(f"fires of {jobs} jobs")
        line = self._line(f"fires of {jobs} due jobs of {max(1, jobs // 20)} tenants", "fires/s")
        line.ours.append(fires(self._redis, self._url, tenants=max(1, jobs // 20), jobs=jobs))

    def _applies(self) -> None:
        tenants = max(20, min(10_000, self._runs // 2))
        self._say(f"a template of {tenants} tenants")
        rates = applies(self._redis, self._url, tenants=tenants)
        for what, rate in zip(("a template", "a template's change"), rates, strict=True):
            self._line(f"apply of {what} to {tenants} tenants", "tenants/s").ours.append(rate)

    def _line(self, what: str, unit: str, aim: float | None = None) -> Comparison:
        return self.comparisons.setdefault(what, Comparison(what, unit, aim))


def produced(side: Side, way: str, task: str, count: int, **environment: str) -> Any:
    """Let a producer send so many runs in its own process, and answer what it measured."""
    producer = sides.start(side, ["-m", "bench.produce", side.name, way, task, str(count)], **environment)
    answer, _ = producer.communicate(timeout=600)
    if producer.returncode:
        raise RuntimeError(f"the producer of {side.name} ended with {producer.returncode}: {sides.complaint()}")
    return json.loads(answer)


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]
