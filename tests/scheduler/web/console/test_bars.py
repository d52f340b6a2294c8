"""The bars of a job's last runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as some
from taglane.model.run import RunInfo
from taglane_scheduler.web.console.bars import HEIGHT, LEAST, bars, took, waited

NOW = 1_000_000
RUN = RunInfo("acme.1", "acme", None, "t", "acme", "succeeded", None, 1_000, 3_000, 5_000, None, 1, None, None)


@given(
    some.lists(some.tuples(some.none() | some.integers(0, NOW), some.none() | some.integers(0, 2 * NOW)), max_size=50)
)
def test_bars_stand_side_by_side_and_fit(times: list[tuple[int | None, int | None]]) -> None:
    """The newest is the last, none is higher than there is room, none is too low to be seen; longer is not lower."""
    runs = [replace(RUN, started_at=begin, finished_at=end) for begin, end in times]

    made = bars(runs, NOW)

    assert runs == [bar.run for bar in reversed(made)]
    assert all(LEAST <= bar.height <= HEIGHT == bar.height + bar.y for bar in made)
    assert all(one.x + one.width < two.x for one, two in pairwise(made))
    ordered = sorted(made, key=lambda bar: bar.ms or 0)
    assert [bar.height for bar in ordered] == sorted(bar.height for bar in made)


def test_how_long_it_took_and_waited() -> None:
    """What has not ended goes on until now; what never began took nothing."""
    assert (2_000, 2_000) == (took(RUN, NOW), waited(RUN, NOW))
    assert 997_000 == took(replace(RUN, finished_at=None), NOW)
    assert None is took(replace(RUN, started_at=None), NOW)
    assert 999_000 == waited(replace(RUN, started_at=None, finished_at=None), NOW)
    assert 4_000 == waited(replace(RUN, started_at=None), NOW)
    assert None is waited(replace(RUN, queued_at=None), NOW)
