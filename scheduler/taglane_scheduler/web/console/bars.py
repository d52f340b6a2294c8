"""Draws a job's last runs as bars: where each stands, how high it is, what it is called. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.model.run import RunInfo

WIDTH, GAP, HEIGHT = 11, 3, 84
LEAST = 4
"""How high the bar of a run is that took no time, or has not begun."""

KIND = {"succeeded": "ok", "failed": "no", "dead": "no", "running": "busy", "queued": "busy", "scheduled": "busy"}
"""The class of a state's colour; the others are `other`."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One run. *ms* is how long it took, or has taken by now; None when it has not begun."""

    run: RunInfo
    x: int
    y: int
    width: int
    height: int
    kind: str
    ms: int | None


def bars(runs: Sequence[RunInfo], now: int) -> list[Bar]:
    """Return the bars of *runs*, given the newest first, the oldest at the left; heights are logarithms of times."""
    times = [took(run, now) for run in runs]
    longest = max((ms for ms in times if ms is not None), default=0)
    full = math.log1p(max(longest, 1_000))
    made = []
    for place, (run, ms) in enumerate(zip(reversed(runs), reversed(times), strict=True)):
        height = LEAST if not ms else max(LEAST, round(HEIGHT * math.log1p(ms) / full))
        kind = KIND.get(run.state, "other")
        made.append(Bar(run, place * (WIDTH + GAP), HEIGHT - height, WIDTH, height, kind, ms))
    return made


def took(run: RunInfo, now: int) -> int | None:
    """Return how long, ms, a run's last attempt took, or has taken by *now*; None when it has not begun."""
    if run.started_at is None:
        return None
    return max(0, (run.finished_at if run.finished_at is not None else now) - run.started_at)


def waited(run: RunInfo, now: int) -> int | None:
    """Return how long, ms, a run has waited for a worker, or waits by *now*."""
    if run.queued_at is None:
        return None
    until = run.started_at or run.finished_at or now
    return max(0, until - run.queued_at)
