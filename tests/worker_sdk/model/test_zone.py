"""Wall clocks through the hours that DST skips or repeats."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.model.instant import format_instant
from taglane.model.zone import find_zone, first_instant, offsets, reading, showing, wall_clock

ZONES = ["Europe/Berlin", "Europe/Dublin", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "UTC"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Mars/X", "^unknown time zone 'Mars/X'$"),
        ("europe/berlin", "did you mean 'Europe/Berlin'"),
        ("Europe/Berlim", "did you mean 'Europe/Berlin'"),
        ("Europe", "unknown time zone 'Europe'"),
        ("", "unknown time zone ''"),
        ("/etc/passwd", "unknown time zone"),
        ("localtime", "unknown time zone"),
        ("right/UTC", "unknown time zone"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest(name: str, message: str) -> None:
    """Only IANA names of places are zones, and a slip of the pen gets a hint."""
    with pytest.raises(ValueError, match=message):
        find_zone(name)


@pytest.mark.parametrize(
    ("zone", "wall", "expected"),
    [
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-03-29T02:59:59", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-10-25T02:00", "2026-10-25T00:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-04T02:10", "2026-10-03T15:30:00Z"),
        ("America/Sao_Paulo", "2018-11-04T00:00", "2018-11-04T03:00:00Z"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00:00Z"),
    ],
)
def test_a_skipped_time_is_the_end_of_the_gap(zone: str, wall: str, expected: str) -> None:
    """A time that no clock shows is the first instant after the gap, one that is shown twice is the first."""
    assert expected == format_instant(first_instant(datetime.fromisoformat(wall), find_zone(zone)) * 1000)


@given(st.integers(0, 4_000_000_000), st.sampled_from(ZONES))
def test_what_a_clock_shows_leads_back_to_the_instant(instant: int, name: str) -> None:
    """An instant is the reading of what its clock shows, by the offset of that pass."""
    zone = find_zone(name)
    wall = wall_clock(instant, zone)
    offset = offsets(wall, zone)[wall.fold]

    assert instant == reading(wall, offset)
    assert wall == showing(instant, offset)
    assert first_instant(wall, zone) <= instant
