"""`make bench-fires`: measures how many due instants a second become runs, how late, and at what cost.

FIRES_ONLY (all) names what is measured, FIRES_ROUNDS (1) how often; medians are printed. FIRES_PLOTS (docs/performance)
is where the plots go; empty for none.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bench import plot
from bench.firing import scenes
from bench.firing.scenes import FULL, Curves
from bench.measured import measured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.firing.scenes import Size
    from bench.tenancy.figures import Sheet

MEASURES: dict[str, Callable[[Sheet, Size, Curves], None]] = {
    "many": scenes.many,
    "one": scenes.one,
    "bursts": scenes.bursts,
    "steady": scenes.steady,
    "two": scenes.two,
    "widths": scenes.widths,
    "held": scenes.held,
    "beats": scenes.beats,
}


def measure(names: Sequence[str], rounds: int, size: Size, folder: Path | None = None) -> Sheet:
    """Measure each on servers of its own, print the report, and draw the last round into *folder*."""
    curves = Curves()
    sheet = measured(
        [MEASURES[name] for name in names],
        (size, curves),
        rounds=rounds,
        command=f"FIRES_ONLY={','.join(names)} FIRES_ROUNDS={rounds} make bench-fires",
        note="no worker is beside the schedulers: every run waits in its queue, and is read there afterwards",
    )
    if folder is not None:
        draw(curves, folder)
    return sheet


def draw(curves: Curves, folder: Path) -> None:
    """Draw what was measured."""
    over_time = ("s since the first due instant", "ms late, p99 of half a second")
    width = "jobs of a tenant due at once"
    if curves.lateness:
        plot.lines(folder / "fires-lateness.svg", "Lateness of fires", *over_time, curves.lateness)
    if curves.rate:
        title = "A burst of 10,000 fires, by how many are one tenant's"
        plot.lines(folder / "fires-rate.svg", title, width, "fires a second", curves.rate, log_x=True)
        plot.lines(folder / "fires-cost.svg", title, width, "us of processor time a fire", curves.cost, log_x=True)
    if curves.held:
        held = ("jobs held", "us of processor time a fire")
        plot.lines(
            folder / "fires-held.svg", "A fire's cost, by how many jobs there are", *held, curves.held, log_x=True
        )
    if curves.beside:
        title = "10,000 jobs due in the same second"
        plot.bars(folder / "fires-beat.svg", title, "fires a second", curves.beside, ours=["taglane"], log_x=True)


if __name__ == "__main__":
    asked, place = os.environ.get("FIRES_ONLY", ""), os.environ.get("FIRES_PLOTS", "docs/performance")
    chosen = asked.split(",") if asked else list(MEASURES)
    measure(chosen, int(os.environ.get("FIRES_ROUNDS", "1")), FULL, Path(place) if place else None)
