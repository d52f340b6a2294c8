"""Counts of days, as sums that only grow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from taglane.store.tallies import Tallied
from taglane_scheduler.metrics.sums import Growth, add


def test_the_first_reading_adds_nothing() -> None:
    """What was counted before this process began is no growth, but of a tenant that is new."""
    read = Tallied("20261125", {"made": 7}, {})

    assert {} == Growth().take(read)
    assert {"made": 7} == Growth(new=True).take(read)


def test_midnight_loses_nothing() -> None:
    """What came before it since the last reading is added to what came after it."""
    growth = Growth()
    growth.take(Tallied("20261125", {"made": 7, "failed": 1}, {}))

    grown = growth.take(Tallied("20261126", {"made": 2}, {"made": 10, "failed": 1}))

    assert {"made": 5} == grown
    assert {"made": 1} == growth.take(Tallied("20261126", {"made": 3}, {}))


def test_what_is_set_back_adds_nothing() -> None:
    """A tenant that lowers a count of its own hides what comes until it is passed again, and no more."""
    growth = Growth()
    growth.take(Tallied("20261125", {"made": 7}, {}))

    assert {} == growth.take(Tallied("20261125", {"made": 2}, {}))
    assert {"made": 1} == growth.take(Tallied("20261125", {"made": 3}, {}))


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=5))
def test_the_sum_is_all_that_was_counted(days: list[list[int]]) -> None:
    """However often the days are read, each at least once."""
    growth, sums, before = Growth(new=True), dict[str, int](), dict[str, int]()
    for day, steps in enumerate(days):
        made = 0
        for number, step in enumerate(steps):
            made += step
            growth_of = growth.take(Tallied(f"2026112{day}", {"made": made}, before if number == 0 else {}))
            assert all(times > 0 for times in growth_of.values() if times != 0)
            add(sums, growth_of)
        before = {"made": made}

    assert sum(map(sum, days)) == sums.get("made", 0)
