"""How much to hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.runtime.pace import AHEAD_AT_MOST, SHARED_HORIZON, Pace

SECONDS = st.floats(min_value=0, max_value=10_000, allow_nan=False)


def settled(seconds: float, batch: int = 64) -> Pace:
    pace = Pace(batch)
    for _ in range(200):
        pace.learn(seconds)
    return pace


@pytest.mark.parametrize(("seconds", "wanted"), [(0.0001, 64), (0.03, 6), (0.1, 2), (60.0, 1)])
def test_a_tenth_of_a_second_of_work_is_held(seconds: float, wanted: int) -> None:
    """Short runs are held by the batch, long ones one by one."""
    assert wanted == settled(seconds).wanted(2)


def test_a_shared_pool_holds_less() -> None:
    """Behind what is held stands whoever comes meanwhile; what takes no time is held by the batch there, too."""
    for seconds, wanted in ((0.0001, 64), (0.0019, 10), (0.03, 1)):
        pace = settled(seconds)
        pace.horizon = SHARED_HORIZON
        assert wanted == pace.wanted(2)


@given(st.lists(SECONDS, max_size=50), st.integers(1, 64), st.integers(1, 1_000))
def test_bounds_hold_whatever_runs_take(taken: list[float], window: int, batch: int) -> None:
    """At least one and at most a batch is held, and nothing is given ahead without bound."""
    pace = Pace(batch)
    for seconds in taken:
        pace.learn(seconds)
    assert 1 <= pace.wanted(window) <= batch
    assert 0 <= pace.ahead(window) <= AHEAD_AT_MOST


def test_a_long_run_slows_it_down_at_once() -> None:
    """One run that does not end is reason enough to hold no more; short ones speed it up again."""
    pace = settled(0.0001)
    pace.slow_down(2.0)
    assert (1, 0) == (pace.wanted(2), pace.ahead(2))
    for _ in range(200):
        pace.learn(0.0001)
    assert 64 == pace.wanted(2)
