"""Fills a sheet of figures, and prints it as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import report
from bench.tenancy.figures import Sheet
from bench.tenancy.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def measured(
    measures: Iterable[Callable[..., None]], given: Sequence[object], *, rounds: int, command: str, note: str = ""
) -> Sheet:
    """Measure each so often, with a sheet and what is *given*; *note* stands above the figures."""
    with Stage(quiet=True) as stage:
        for line in report.machine(stage.redis, command):
            print(line)
    if note:
        print(note)
    sheet = Sheet()
    for measure in measures:
        known = len(sheet.figures)
        for _ in range(rounds):
            measure(sheet, *given)
        for line in sheet.lines(known):
            print(line, flush=True)
    print(f"{report.after()}; {sum(each.misses for each in sheet.figures.values())} aims missed")
    return sheet
