"""Draws a run's life as a line: made or due, queued, started, ended, and how long each part was. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taglane.model.run import RunInfo

WIDTH = 1_000
LATE_MS = 1_000
"""A run that was queued sooner after its due instant was never scheduled, to speak of."""

LEAST = 14
"""How wide a part is at least, of `WIDTH`: one of a millisecond is to be seen, too."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a run's life, from *begin* to *end*, ms since 1970; the last of one that goes on ends now."""

    name: str
    """``scheduled``, ``queued``, ``running`` or ``waiting``: for another try."""
    begin: int
    end: int
    x: int
    width: int
    kind: str
    note: str = ""

    @property
    def ms(self) -> int:
        """How long it was."""
        return self.end - self.begin


def timeline(run: RunInfo, now: int) -> list[Part]:
    """Return the parts of a run's life, in their order; none of a run that never waited nor ran."""
    end = run.finished_at if run.finished_at is not None else now
    told = _told(run, end)
    parts = [(name, begin, max(begin, until), kind, note) for name, begin, until, kind, note in told]
    whole = sum(until - begin for _, begin, until, _, _ in parts)
    left = WIDTH - LEAST * len(parts)
    found, x = [], 0.0
    for name, begin, until, kind, note in parts:
        width = LEAST + (left * (until - begin) / whole if whole else left / len(parts))
        found.append(Part(name, begin, until, round(x), round(x + width) - round(x), kind, note))
        x += width
    return found


def _told(run: RunInfo, end: int) -> list[tuple[str, int, int, str, str]]:
    found: list[tuple[str, int, int, str, str]] = []
    attempts = [each for each in run.attempts if each.started_at is not None]
    first = next((each.started_at for each in attempts if each.started_at), end)
    queued = run.queued_at if run.queued_at is not None and run.queued_at <= first else None
    if run.due is not None and queued is None and run.due < first:  # queued again since: when first, nobody noted
        queued = run.due
    elif run.due is not None and queued is not None and run.due + LATE_MS <= queued:
        found.append(("scheduled", run.due, queued, "other", ""))
    if queued is not None:
        found.append(("queued", queued, first, "wait", ""))
    for place, each in enumerate(attempts):
        begin = each.started_at or end
        following = attempts[place + 1].started_at if place + 1 < len(attempts) else None
        until = each.ended_at or following or end
        kind = {"succeeded": "ok", "running": "busy"}.get(each.how, "no")
        found.append(("running", begin, until, kind, str(each.attempt)))
        if following is not None and following > until:
            found.append(("waiting", until, following, "wait", ""))
        elif following is None and not run.is_ended and run.state != "running" and until < end:
            found.append(("waiting", until, end, "wait", ""))
    return found
