"""Prints the table: a row for each scene, what ours came to beside what stock Celery did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.figures import Figures

if TYPE_CHECKING:
    from collections.abc import Iterator

LEGEND = (
    "lost     runs whose caller never gets a result",
    "twice    executed again though the first execution's process was well: nobody had a reason to",
    "cut off  executed again because the process that executed it fell in it",
    "unsaid   executed again because its process fell between its end and the server's hearing of it",
    "recovery seconds until the last of what was held was started elsewhere, or until work went on: median, longest",
)
WIDTH = 41


def head() -> Iterator[str]:
    """Say what the columns are, and name them."""
    yield from LEGEND
    yield ""
    yield (
        f"{'scene':{WIDTH}} {'side':8}{'faults':>7}{'runs':>6}{'lost':>6}{'twice':>6}{'cut off':>8}{'unsaid':>7}"
        f"{'recovery, s':>12}{'took, s':>8}"
    )


def lines(scene: str, side: str, came_to: Figures | str) -> Iterator[str]:
    """One scene on one side."""
    begin = f"{scene:{WIDTH}} {side:8}"
    if not isinstance(came_to, Figures):
        yield f"{begin} {came_to}"
        return
    repeats = came_to.repeats
    overwritten = f"results overwritten: {came_to.overwritten}" if came_to.overwritten else ""
    unaccounted = f"executed without a lease: {came_to.unaccounted}" if came_to.unaccounted else ""
    yield (
        f"{begin}{came_to.faults:>7}{came_to.runs:>6}{came_to.lost:>6}{repeats.excess:>6}{repeats.cut_off:>8}"
        f"{repeats.unsaid:>7}{came_to.recovery():>12}{came_to.seconds:>8.0f}"
        f"  {' '.join(filter(None, [came_to.note, overwritten, unaccounted]))}"
    ).rstrip()
