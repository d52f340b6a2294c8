"""The line of a run's life."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from taglane.model.run import RunInfo, Try
from taglane_scheduler.web.console.timeline import LEAST, WIDTH, timeline

NOW = 100_000
RUN = RunInfo("acme.1", "acme", "report", "t", "acme", "succeeded", 1_000, 5_000, 8_000, 9_000, "w", 1, None, None)


def told(run: RunInfo) -> list[tuple[str, int]]:
    return [(part.name, part.ms) for part in timeline(run, NOW)]


def test_a_life_is_told_in_its_order() -> None:
    """What was due long before it was queued was scheduled; the widths fill the line, and each can be seen."""
    parts = timeline(RUN, NOW)

    assert [("scheduled", 4_000), ("queued", 3_000), ("running", 1_000)] == told(RUN)
    assert [("queued", 3_000), ("running", 1_000)] == told(replace(RUN, due=4_500))
    assert WIDTH == parts[-1].x + parts[-1].width
    assert all(part.width >= LEAST for part in parts)
    assert all(one.x + one.width == two.x for one, two in pairwise(parts))


def test_what_goes_on_ends_now() -> None:
    """A run that waits, one that runs, and one that waits for another try."""
    first = Try(1, "w", 8_000, 9_000, "retry", "no", None)
    again = replace(RUN, state="retrying", tries=(first,), attempt=1, finished_at=None, due=None)

    waits = replace(RUN, state="queued", started_at=None, finished_at=None, due=None)

    assert [("queued", 95_000)] == told(waits)
    assert [("queued", 3_000), ("running", 92_000)] == told(replace(RUN, state="running", finished_at=None, due=None))
    assert [("queued", 3_000), ("running", 1_000), ("waiting", 91_000)] == told(again)


def test_every_attempt_is_told() -> None:
    """With the waits between them; times that make no sense break nothing."""
    first = Try(1, "w", 8_000, 9_000, "retry", "no", None)
    second = replace(RUN, tries=(first,), attempt=2, started_at=20_000, finished_at=21_000, due=None)

    assert [("queued", 3_000), ("running", 1_000), ("waiting", 11_000), ("running", 1_000)] == told(second)
    assert [("queued", 3_000), ("running", 0)] == told(replace(RUN, finished_at=1, due=None))
    assert [] == told(replace(RUN, queued_at=None, started_at=None, due=None))
