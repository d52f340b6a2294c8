"""Prints and draws what was measured: everyone's figures, the losing ones too, then the ratios beside their aims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import plot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bench.peers.figures import Figures

OURS, STOCK = "taglane", "celery"
COLUMNS: dict[str, Sequence[tuple[str, str]]] = {
    "enqueue": [
        ("send rate", "jobs/s"),
        ("send us", "sender us"),
        ("send server us", "server us"),
        ("send trips", "trips"),
        ("many rate", "bulk/s"),
        ("many us", "sender us"),
        ("many server us", "server us"),
    ],
    "drain": [
        ("rate", "runs/s"),
        ("trips", "trips"),
        ("commands", "commands"),
        ("worker us", "worker us"),
        ("server us", "server us"),
    ],
    "latency": [
        ("starts p50", "start p50"),
        ("starts p99", "p99 ms"),
        ("results p50", "result p50"),
        ("results p99", "p99 ms"),
    ],
    "start": [("first", "first s"), ("processes", "processes"), ("rss", "RSS MB"), ("pss", "PSS MB")],
}
"""What is shown of a part, and the word above it; by the first the lines are sorted."""

LESS_IS_BETTER = {"latency", "start"}


def lines(figures: Figures) -> Iterator[str]:
    """A table for each part that was measured, and the ratios."""
    for part, columns in COLUMNS.items():
        found = {what: figures.each(part, what) for what, _ in columns}
        first = found[columns[0][0]] or found[columns[1][0]]
        if not first:
            continue
        yield part + ":"
        yield "".join(f"{word:>11}" for _, word in columns) + "  who"
        ranked = sorted(first, key=lambda who: first[who] if part in LESS_IS_BETTER else -first[who])
        for who in ranked:
            cells = [found[what].get(who) for what, _ in columns]
            yield "".join(f"{'' if cell is None else spell(cell):>11}" for cell in cells) + f"  {named(who)}"
    yield from (line.text() for line in ratios(figures))


class Ratio:
    """One ratio beside its aim: above 1 is in our favour."""

    def __init__(self, what: str, value: float, aim: float | None) -> None:
        self.what, self.value, self.aim = what, value, aim

    def text(self) -> str:
        """As a line of the report."""
        aim = "" if self.aim is None else f">={self.aim:g}"
        missed = "  MISSED" if self.aim is not None and self.value < self.aim else ""
        return f"{f'x{self.value:.2f}':>9} {aim:>7}  {self.what}{missed}"


def ratios(figures: Figures) -> Iterator[Ratio]:
    """What can be told of what was measured."""
    yield from _enqueue(figures)
    yield from _drain(figures)
    yield from _latency(figures)
    yield from _start(figures)


def _enqueue(figures: Figures) -> Iterator[Ratio]:
    for what, unit, sign in (("send rate", "jobs/s", 1), ("send us", "processor time", -1)):
        known = {who: value**sign for (who, _), value in figures.each("enqueue", what).items()}
        if OURS not in known:
            continue
        if STOCK in known:
            yield Ratio(f"enqueue, {unit}: taglane / celery's apply_async", known[OURS] / known[STOCK], 3)
        if others := {who: value for who, value in known.items() if who not in (OURS, STOCK)}:
            best = max(others, key=lambda who: others[who])
            yield Ratio(f"enqueue, {unit}: taglane / the fastest peer, {best}", known[OURS] / known[best], 1)
    many = {who: value for (who, _), value in figures.each("enqueue", "many rate").items()}
    if {OURS, "redis-py"} <= many.keys():
        yield Ratio("enqueue_many / a bare pipeline of as many bytes", many[OURS] / many["redis-py"], 0.35)
    if trips := figures.get("enqueue", OURS, "", "send trips"):
        yield Ratio("1 trip to enqueue / ours", 1.05 / trips, 1)


def _drain(figures: Figures) -> Iterator[Ratio]:
    rates = figures.each("drain", "rate")
    ours = {setting: rate for (who, setting), rate in rates.items() if who == OURS}
    others = {who: rate for who, rate in rates.items() if who[0] not in (OURS, STOCK)}
    if not ours:
        return
    best_of_ours = max(ours, key=lambda setting: ours[setting])
    if others:
        yield from _against_peers(ours, others, best_of_ours)
        spent = {who: _spent(figures, who) for who in rates}
        cheapest = min(others, key=lambda who: spent[who])
        for setting in dict.fromkeys(("auto", best_of_ours)) if all(spent.values()) else ():
            ratio = spent[cheapest] / spent[OURS, setting]
            yield Ratio(f"drain, processor time of workers and server: {named(cheapest)} / {setting}", ratio, None)
    for setting, theirs, aim in (
        ("prefork", "prefork", 3),
        ("auto", "prefork", 4),
        ("threads", "threads", 6),
        ("solo", "solo", 6),
    ):
        if setting in ours and (STOCK, theirs) in rates:
            ratio = ours[setting] / rates[STOCK, theirs]
            yield Ratio(f"drain: {setting} / celery's {theirs}, results", ratio, aim)
    for setting in ours:
        trips = figures.get("drain", OURS, setting, "trips")
        if trips:
            yield Ratio(f"drain: 0.3 trips a run / {setting}'s", 0.3 / trips, 1)


def _against_peers(
    ours: Mapping[str, float], others: Mapping[tuple[str, str], float], best_of_ours: str
) -> Iterator[Ratio]:
    """Against the fastest of all, and the fastest of those that keep a result."""
    keep = {who: rate for who, rate in others.items() if "no results" not in who[1] and who[0] != "procrastinate"}
    for known, kind in ((others, "the fastest peer"), (keep, "the fastest peer with results")):
        best = max(known, key=lambda who: known[who], default=None)
        for setting in dict.fromkeys(("auto", best_of_ours)) if best else ():
            if best and setting in ours:
                yield Ratio(f"drain: {setting} / {kind}, {named(best)}", ours[setting] / known[best], 1.3)


def _spent(figures: Figures, who: tuple[str, str]) -> float:
    """Microseconds a run; PostgreSQL's are not counted, so its peer can't be the cheapest."""
    if who[0] == "procrastinate":
        return float("inf")
    return sum(figures.get("drain", *who, what) or 0 for what in ("worker us", "server us"))


def _latency(figures: Figures) -> Iterator[Ratio]:
    for what in ("starts p50", "starts p99", "results p50", "results p99"):
        known = figures.each("latency", what)
        ours = {setting: value for (who, setting), value in known.items() if who == OURS}
        huey = [value for (who, _), value in known.items() if who == "huey"]
        spelt = what.replace("starts", "enqueue to start").replace("results", "enqueue to result")
        if huey and "threads" in ours:
            yield Ratio(f"{spelt}: the faster huey / threads", min(huey) / ours["threads"], 1)
        if "prefork" in ours and (STOCK, "prefork") in known:
            yield Ratio(f"{spelt}: celery's prefork / prefork", known[STOCK, "prefork"] / ours["prefork"], 1)
    for (who, setting), value in figures.each("latency", "results p50").items():
        if who == OURS:
            yield Ratio(f"enqueue to result p50: 3 ms / {setting}", 3 / value, 1)


def _start(figures: Figures) -> Iterator[Ratio]:
    for (who, setting), value in figures.each("start", "first").items():
        if who == OURS:
            yield Ratio(f"start to first task: 1.0 s / {setting}", 1 / value, 1)
    for kind in ("rss", "pss"):
        known = figures.each("start", kind)
        for setting, theirs in (("auto", "prefork"), ("prefork", "prefork"), ("threads", "threads"), ("solo", "solo")):
            if (OURS, setting) in known and (STOCK, theirs) in known:
                ratio = known[STOCK, theirs] / known[OURS, setting]
                yield Ratio(f"idle {kind.upper()}: celery's {theirs} / {setting}", ratio, 1)
    if seconds := figures.get("start", OURS, "--help", "seconds"):
        yield Ratio(f"taglane --help: 0.15 s / {seconds:.3f} s", 0.15 / seconds, 1)


def named(who: tuple[str, str]) -> str:
    """A peer and its setting, as one name."""
    return " ".join(filter(None, who))


def spell(value: float) -> str:
    """Three digits that count, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw(figures: Figures, folder: Path) -> None:
    """Write the plots of what was measured."""
    for part, what, name, title, unit in (
        ("enqueue", "send rate", "peers-enqueue", "Enqueue one by one, one process", "jobs/s"),
        ("enqueue", "many rate", "peers-bulk", "Enqueue in bulk, one process", "jobs/s"),
        ("drain", "rate", "peers-drain", "Drain no-op runs, two processes or slots", "runs/s"),
        ("latency", "starts p50", "peers-latency", "Enqueue to start, idle worker, p50", "ms"),
        ("latency", "results p50", "peers-result", "Enqueue to result, idle worker, p50", "ms"),
        ("start", "first", "peers-start", "Worker's start to its first task", "s"),
        ("start", "pss", "peers-memory", "Memory of idle workers, two processes or slots", "MB, PSS"),
    ):
        known = figures.each(part, what)
        if known:
            _bars(folder / f"{name}.svg", title, unit, known, rising=part in LESS_IS_BETTER)


def _bars(path: Path, title: str, unit: str, known: Mapping[tuple[str, str], float], *, rising: bool) -> None:
    ranked = sorted(known, key=lambda who: known[who] if rising else -known[who])
    bars = {named(who): known[who] for who in ranked}
    plot.bars(path, title, unit, bars, ours={name for name in bars if name.startswith(OURS)})
