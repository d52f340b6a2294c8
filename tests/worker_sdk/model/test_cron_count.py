"""How often a cron expression fires, against walking through its times."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from taglane.model.cron import next_cron
from taglane.model.cron_count import count_cron
from taglane.model.instant import parse_instant

EXPRESSIONS = (
    "* * * * *",
    "*/7 * * * *",
    "30 2 * * *",
    "0,30 1-3 * * *",
    "15 0 * * MON-FRI",
    "0 */2 * * *",
    "*/10 2 L * *",
    "H H(1-3) * * *",
    "H/20 * 1,15 * FRI",
    "*/20 59 1-23/2 * * *",
    "0 0 0 29 2 ?",
    "59 23 * * 0",
)
CHANGES = {
    "Europe/Berlin": ["2026-03-29T01:00Z", "2026-10-25T01:00Z"],
    "America/New_York": ["2026-03-08T07:00Z", "2026-11-01T06:00Z"],
    "Australia/Lord_Howe": ["2026-04-04T15:00Z", "2026-10-03T15:30Z"],
    "America/Sao_Paulo": ["2018-11-04T03:00Z", "2018-02-18T02:00Z"],
    "America/Havana": ["2026-03-08T05:00Z", "2026-11-01T05:00Z"],
    "Asia/Kolkata": ["2026-05-05T05:00Z"],
    "UTC": ["2026-12-31T23:59Z"],
}
HOUR = 3_600_000


def walked(expr: str, tz: str, after: int, until: int) -> int:
    count, due = 0, next_cron(expr, tz, after=after, hash_id="acme/report")
    while due is not None and due <= until:
        count, due = count + 1, next_cron(expr, tz, after=due, hash_id="acme/report")
    return count


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(EXPRESSIONS),
    st.sampled_from([(tz, at) for tz, changes in CHANGES.items() for at in changes]),
    st.integers(-60 * HOUR, 30 * HOUR),
    st.integers(0, 70 * HOUR),
)
@example("30 2 * * *", ("Europe/Berlin", "2026-03-29T01:00Z"), -HOUR, 2 * HOUR)
@example("* * * * *", ("America/Sao_Paulo", "2018-02-18T02:00Z"), -5 * HOUR, 10 * HOUR)
def test_the_count_is_that_of_a_walk(expr: str, where: tuple[str, str], offset: int, span: int) -> None:
    """Also where DST skips an hour or repeats it, and where that is at midnight."""
    tz, change = where
    after = parse_instant(change) + offset

    count = count_cron(expr, tz, after=after, until=after + span, hash_id="acme/report")

    assert walked(expr, tz, after, after + span) == count


@pytest.mark.parametrize(
    ("expr", "expected"), [("* * * * * *", 365 * 86_400), ("* * * * *", 365 * 1_440), ("0 12 * * *", 365)]
)
def test_a_year_is_counted_by_its_days(expr: str, expected: int) -> None:
    """However many times there are: a scheduler that comes back must not stop to count them."""
    began = time.monotonic()
    count = count_cron(
        expr, "Europe/Berlin", after=parse_instant("2026-01-01T12:00Z"), until=parse_instant("2027-01-01T12:00Z")
    )

    assert expected == count
    assert time.monotonic() - began < 2


def test_nothing_between() -> None:
    """An expression whose next time is later, or never comes."""
    at = parse_instant("2026-01-01T12:00Z")
    assert 0 == count_cron("0 12 * * *", "UTC", after=at, until=at + 23 * HOUR)
    assert 1 == count_cron("0 12 * * *", "UTC", after=at, until=at + 24 * HOUR)
    assert 0 == count_cron("0 12 * * *", "UTC", after=at, until=at - HOUR)
