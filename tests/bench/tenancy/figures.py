"""The figures of tenants beside one another, each with its aim. Pure."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(slots=True)
class Figure:
    """One line of the report, a value for each round."""

    what: str
    unit: str
    most: float | None = None
    """The aim, where it is not to be more."""
    least: float | None = None
    """The aim, where it is not to be less."""
    values: list[float] = field(default_factory=list)

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.values)

    @property
    def misses(self) -> bool:
        """Whether the aim is missed."""
        return (self.most is not None and self.value > self.most) or (
            self.least is not None and self.value < self.least
        )


class Sheet:
    """All figures of a run, in the order in which they came."""

    def __init__(self) -> None:
        self.figures: dict[str, Figure] = {}

    def note(
        self, what: str, value: float, unit: str, *, most: float | None = None, least: float | None = None
    ) -> None:
        """Note one round's value; the aim is the last one's that was told."""
        figure = self.figures.setdefault(what, Figure(what, unit))
        figure.most, figure.least = most, least
        figure.values.append(value)

    def lines(self, known: int = 0) -> Iterator[str]:
        """The table, from the figure number *known* on."""
        for figure in list(self.figures.values())[known:]:
            aim = f"<={spell(figure.most)}" if figure.most is not None else ""
            aim = f">={spell(figure.least)}" if figure.least is not None else aim
            rounds = f"  of {len(figure.values)} rounds" if len(figure.values) > 1 else ""
            missed = "  MISSED" if figure.misses else ""
            yield f"{spell(figure.value):>11} {aim:>9} {figure.unit:9} {figure.what}{rounds}{missed}"


def spell(value: float) -> str:
    """Four digits that count, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The least of the values that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def jain(shares: Sequence[float]) -> float:
    """Jain's index of fairness: 1 when all have the same, 1/n when one has all."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


def while_all_wait(order: Sequence[str], backlogs: Mapping[str, int]) -> Counter[str]:
    """What each got until the first of them had got all that it had."""
    got: Counter[str] = Counter(dict.fromkeys(backlogs, 0))
    for who in order:
        got[who] += 1
        if got[who] >= backlogs[who]:
            break
    return got


def share_error(got: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """How far the worst of these shares is from what its weight gives it, in percent of that."""
    runs, weight = sum(got.values()), sum(weights.values())
    return max(abs(got[who] / (runs * weights[who] / weight) - 1) for who in weights) * 100
