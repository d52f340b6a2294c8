"""How a ledger is read, summed up, and what is said of its durations."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.model.usage import (
    DayUsage,
    Histogram,
    bucket_of,
    day_of,
    days_between,
    key_day,
    read_day,
    read_jobs,
    total,
)

DAY = date(2026, 11, 22)

durations = st.lists(st.integers(0, 10**9), min_size=1, max_size=60)


def histogram(values: list[int]) -> Histogram:
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    return Histogram(counts)


@given(durations, st.sampled_from([0, 1, 50, 95, 99, 99.9, 100]))
def test_a_percentile_is_right_within_a_factor_of_two(values: list[int], percent: float) -> None:
    """Of the nearest rank: it is less than what is told, and at least half of it."""
    told = histogram(values).below(percent)

    rank = max(1, -int(-len(values) * percent // 100))
    true = sorted(values)[rank - 1]
    assert told is not None
    assert true < told
    assert told <= max(1, 2 * true)


def test_without_durations_there_is_no_percentile() -> None:
    assert None is Histogram().below(50)


@pytest.mark.parametrize(("ms", "bucket"), [(-5, 0), (0, 0), (1, 1), (2, 2), (3, 2), (511, 9), (512, 10), (1023, 10)])
def test_buckets_end_at_powers_of_two(ms: int, bucket: int) -> None:
    assert bucket == bucket_of(ms)


def test_a_day_is_read() -> None:
    """All that is counted, and nothing that a tenant or an older version has put beside it."""
    kept = {
        b"made": b"7",
        b"succeeded": b"4",
        b"fired": b"2",
        b"skipped": b"1",
        b"missed": b"5",
        b"ms": b"1500",
        b"wait:0": b"1",
        b"wait:10": b"4",
        b"late:3": b"2",
        b"wait:99": b"1",
        b"wait:x": b"1",
        b"made:3": b"1",
        b"report|succeeded": b"9",
        b"\xff": b"1",
        b"failed": b"many",
        b"dead": b"-3",
        b"tenant": b"2",
    }

    found = read_day("acme", DAY, kept)

    assert (7, 4, 0, 0) == (found.made, found.succeeded, found.failed, found.dead)
    assert (8, 4, 5, 1_500) == (found.due, found.ended, found.attempts, found.ms)
    assert ("acme", {3: 2}) == (found.tenant, found.late.counts)


def test_jobs_are_read_from_one_ledger() -> None:
    """By name; what each has made is what it was made by. The bookkeeping of the ledger itself is no job's."""
    kept = {
        b"b|fired": b"2",
        b"a|triggered": b"1",
        b"b|missed": b"4",
        b"b|replayed": b"1",
        b"*|ms": b"9",
        b"|fields": b"5",
    }

    rest, a, b = read_jobs("acme", DAY, kept)

    assert ("*", 9) == (rest.job, rest.ms)
    assert ("a", 1, 1) == (a.job, a.made, a.triggered)
    assert ("b", 3, 4, 6) == (b.job, b.made, b.missed, b.due)


@given(st.lists(durations, min_size=1, max_size=4))
def test_a_sum_has_all_that_its_days_have(days: list[list[int]]) -> None:
    """Its percentiles are those of all durations together."""
    used = [
        DayUsage("acme", date(2026, 11, 1 + number), made=len(values), ms=sum(values), wait=histogram(values))
        for number, values in enumerate(days)
    ]

    found = total(used)

    together = [value for values in days for value in values]
    assert found is not None
    assert (len(together), sum(together)) == (found.made, found.ms)
    assert histogram(together).counts == found.wait.counts
    assert used[0].day == found.day
    assert None is total([])


def test_days() -> None:
    """They are UTC's, and both ends are in."""
    assert [date(2026, 2, 28), date(2026, 3, 1)] == days_between(date(2026, 2, 28), date(2026, 3, 1))
    assert date(2026, 11, 22) == day_of(1_795_348_800_000)
    assert date(2026, 11, 21) == day_of(1_795_305_599_999)
    assert "20261122" == key_day(DAY)
