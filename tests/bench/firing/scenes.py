"""The measurements of firing, each figure beside its aim. Lateness is from the due instant until the run was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.firing.beat import at_once, fires_a_second
from bench.firing.fleet import Fleet
from bench.firing.play import play
from bench.tenancy.figures import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.firing.play import Played
    from bench.tenancy.figures import Sheet

    Series = dict[str, Sequence[tuple[float, float]]]

HALF_S = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is fired: in full, or so little that it fits into the suite."""

    many: Fleet
    one: Fleet
    bursts: Sequence[tuple[Fleet, float]]
    """Each with the seconds within which all is to be published."""

    steady: Fleet
    shared: Fleet
    """What one scheduler fires, then two."""

    widths: Sequence[int] = (1, 5, 20, 100, 1_000)
    burst: int = 10_000
    held: Sequence[int] = (0, 10_000, 100_000, 1_000_000)
    holding: Fleet = field(default_factory=lambda: Fleet(100, 20, 10))
    entries: int = 1_000
    beat_s: float = 15
    patience_s: float = 45


FULL = Size(
    many=Fleet(500, 20, 30),
    one=Fleet(5_000, 1, 30),
    bursts=((Fleet(500, 20, at_once=True), 1.5), (Fleet(5_000, 20, at_once=True), 12)),
    steady=Fleet(1_000, 1, 20),
    shared=Fleet(500, 20, 10),
)
SHORT = Size(
    many=Fleet(10, 3, 2),
    one=Fleet(20, 1, 2),
    bursts=((Fleet(5, 4, at_once=True), 60),),
    steady=Fleet(10, 1, 2),
    shared=Fleet(4, 3, 1),
)


@dataclass(slots=True)
class Curves:
    """What is drawn."""

    lateness: Series = field(default_factory=dict)
    """p99 of each half second, ms, over s since the first due instant."""

    rate: Series = field(default_factory=dict)
    """Fires a second over jobs due a tenant."""

    cost: Series = field(default_factory=dict)
    """Us a fire over jobs due a tenant."""

    held: Series = field(default_factory=dict)
    """Us a fire over jobs held."""

    beside: dict[str, float] = field(default_factory=dict)
    """Fires a second of a burst, by who fires it."""


def many(sheet: Sheet, size: Size, curves: Curves) -> None:
    """10,000 a second, with many jobs due at once of each tenant."""
    played = _note(sheet, f"{size.many.each} due a tenant", play(size.many), rate=10_000)
    curves.lateness["10,000/s, 20 due a tenant"] = _lateness(played)


def one(sheet: Sheet, size: Size, curves: Curves) -> None:
    """5,000 a second, one of each tenant."""
    played = _note(sheet, "one due a tenant", play(size.one), rate=5_000)
    curves.lateness["5,000/s, one due a tenant"] = _lateness(played)


def bursts(sheet: Sheet, size: Size, curves: Curves) -> None:
    """All in the same second, by cron."""
    for fleet, seconds in size.bursts:
        what = f"{fleet.fires:,} due in one second"
        played = _note(sheet, what, play(fleet))
        sheet.note(f"{what}: all published after", played.outcome.took, "s", most=seconds)
        if fleet.fires == size.burst:
            curves.beside["taglane"] = played.rate


def steady(sheet: Sheet, size: Size, curves: Curves) -> None:
    """1,000 a second: how late they are."""
    played = _note(sheet, "steady", play(size.steady), p50=50, p99=250)
    curves.lateness["1,000/s, one due a tenant"] = _lateness(played)


def two(sheet: Sheet, size: Size, _: Curves) -> None:
    """Two schedulers beside one another, and one alone: what a fire costs, theirs and the server's together."""
    costs = []
    for schedulers in (1, 2):
        played = _note(
            sheet, f"{schedulers} scheduler{'s' * (schedulers - 1)}", play(size.shared, schedulers=schedulers)
        )
        costs.append(played.scheduler + played.server)
    sheet.note("processor time a fire: two schedulers / one", costs[1] / costs[0], "x", most=1.05)


def widths(sheet: Sheet, size: Size, curves: Curves) -> None:
    """A burst of as many fires, of few tenants and of many."""
    played = {}
    for each in size.widths:
        fleet = Fleet(max(1, size.burst // each), each, at_once=True)
        played[each] = _note(sheet, f"burst, {each:,} due a tenant", play(fleet))
    curves.rate["one scheduler"] = [(each, found.rate) for each, found in played.items()]
    curves.cost["scheduler"] = [(each, found.scheduler) for each, found in played.items()]
    curves.cost["server"] = [(each, found.server) for each, found in played.items()]


def held(sheet: Sheet, size: Size, curves: Curves) -> None:
    """The same fires while few jobs are held, and very many."""
    found: list[tuple[int, Played]] = []
    for beside in size.held:
        jobs = beside + size.holding.tenants * size.holding.each
        found.append((jobs, _note(sheet, f"{jobs:,} jobs held", play(size.holding, beside=beside))))
    (_, first), (jobs, last) = found[0], found[-1]
    ratio = (last.scheduler + last.server) / (first.scheduler + first.server)
    sheet.note(f"processor time a fire: {jobs:,} jobs held / {found[0][0]:,}", ratio, "x", most=1.2)
    curves.held["scheduler"] = [(jobs, played.scheduler) for jobs, played in found]
    curves.held["server"] = [(jobs, played.server) for jobs, played in found]


def beats(sheet: Sheet, size: Size, curves: Curves) -> None:
    """Celery beat and redbeat: entries of every second, and a burst in one minute."""
    for name in ("beat", "redbeat"):
        rate, spent = fires_a_second(name, size.entries, size.beat_s)
        sheet.note(f"{name}, {size.entries:,} entries of every second", rate, "fires/s")
        sheet.note(f"{name}, {size.entries:,} entries of every second: {name}'s time", spent, "us/fire")
        late = at_once(name, size.burst, size.patience_s)
        what = f"{name}, {size.burst:,} due in one minute's first second"
        sheet.note(f"{what}: published within {size.patience_s:g} s", len(late), "fires")
        for percent in (50, 99) if late else ():
            sheet.note(f"{what}: late, p{percent} of these", percentile(late, percent), "ms")
        last = max(late, default=0.0)
        curves.beside[name] = len(late) / last * 1000 if last else 0.0


def _note(
    sheet: Sheet,
    what: str,
    played: Played,
    *,
    rate: float | None = None,
    p50: float | None = None,
    p99: float | None = None,
) -> Played:
    least = None if rate is None else rate * 0.99  # the last due instants lie at the end of the last second
    sheet.note(f"{what}: rate", played.rate, "fires/s", least=least)
    sheet.note(f"{what}: missed", played.outcome.missed, "fires", most=0)
    sheet.note(f"{what}: doubled", played.outcome.doubled, "fires", most=0)
    late = played.outcome.late or [0]
    sheet.note(f"{what}: late, p50", percentile(late, 50), "ms", most=p50)
    sheet.note(f"{what}: late, p99", percentile(late, 99), "ms", most=p99)
    sheet.note(f"{what}: late, max", max(late), "ms")
    sheet.note(f"{what}: scheduler", played.scheduler, "us/fire")
    sheet.note(f"{what}: server", played.server, "us/fire")
    sheet.note(f"{what}: scheduler's memory", played.memory, "MB")
    return played


def _lateness(played: Played) -> list[tuple[float, float]]:
    found: dict[int, list[int]] = {}
    for due, late in played.outcome.lateness:
        found.setdefault(due // HALF_S, []).append(late)
    return [(half / 2, percentile(lates, 99)) for half, lates in sorted(found.items())]
