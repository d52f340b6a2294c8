"""Times single reads, and prints their percentiles beside what is aimed at."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.tenancy.figures import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AIM_MS = 100.0


@dataclass
class Reads:
    """What is timed: name -> the ms of each round."""

    what: str = "read"
    aim: float = AIM_MS
    figures: dict[str, list[float]] = field(default_factory=dict)

    def time(self, name: str, read: Callable[[], Any]) -> Any:
        """Time one call; return what it answers."""
        began = time.perf_counter()
        answer = read()
        self.note(name, 1_000 * (time.perf_counter() - began))
        return answer

    def note(self, name: str, ms: float) -> None:
        """Note what was timed elsewhere."""
        self.figures.setdefault(name, []).append(ms)

    def lines(self) -> Iterator[str]:
        """Return what is printed."""
        yield f"{'p50':>9} {'p95':>9} {'max':>9} ms  {self.what} (aim: p95 below {self.aim:g} ms)"
        for name, values in self.figures.items():
            fifty, most = percentile(values, 50), percentile(values, 95)
            missed = "  MISSED" if most > self.aim else ""
            yield f"{fifty:9.2f} {most:9.2f} {max(values):9.2f}     {name}{missed}"
