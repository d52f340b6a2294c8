"""Draws small charts as the paths of an SVG. Pure: numbers in, text for attributes out, nothing that needs a style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taglane.model.standing import Minute
    from taglane.model.usage import DayUsage

HEIGHT = 24
"""Of a spark line, in its own units."""

TALL = 90
"""Of a chart that has room."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Columns of two parts: *ok* stands on the ground, *no* on top of it. Each is the `d` of one path."""

    ok: str
    no: str
    width: int
    height: int


def stack(columns: Sequence[tuple[int, int]], *, step: float = 2, gap: float = 0.5, height: int = HEIGHT) -> Stack:
    """Return columns of how much was well and how much was not, against the highest of them.

    What is there at all is seen: a part that is not 0 is at least one unit high.
    """
    highest = max((ok + no for ok, no in columns), default=0)
    ok_path: list[str] = []
    no_path: list[str] = []
    for at, (ok, no) in enumerate(columns):
        bad = min(max(1.0, no / highest * height), height - (ok > 0)) if no > 0 else 0.0
        good = min(max(1.0, ok / highest * height), height - bad) if ok > 0 else 0.0
        for tall, top, path in ((good, height - good, ok_path), (bad, height - good - bad, no_path)):
            if tall:
                path.append(f"M{at * step:g} {top:.1f}h{step - gap:g}v{tall:.1f}h-{step - gap:g}z")
    return Stack("".join(ok_path), "".join(no_path), round(len(columns) * step), height)


def hour(recent: Iterable[Minute]) -> Stack:
    """Return the last hour of a tenant, a column a minute."""
    return stack([(each.succeeded, each.failed) for each in recent])


def days(usage: Iterable[DayUsage]) -> Stack:
    """Return some days of a tenant, a column a day: runs that ended well, and those that did not."""
    return stack(
        [(each.succeeded, each.failed + each.dead + each.expired) for each in usage], step=20, gap=4, height=TALL
    )
