"""Instants as ISO 8601 text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.model.instant import format_instant, parse_instant


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T09:00:00Z",
        "2026-11-22t09:00:00z",
        "2026-11-22T10:00:00+01:00",
        "2026-11-22T09:00Z",
        "2026-11-22 09:00:00",
        "2026-11-22T09:00",
    ],
)
def test_an_instant_has_several_spellings(text: str) -> None:
    """With Z, with an offset, or as a local time, which is UTC's unless told."""
    assert 1_795_338_000_000 == parse_instant(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T09:00:00", "2026-11-22T08:00:00Z"),
        ("2026-11-22T09:00:00Z", "2026-11-22T09:00:00Z"),
        ("2026-03-29T02:30:00.250", "2026-03-29T01:00:00.250Z"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
    ],
)
def test_a_local_time_is_read_in_its_zone(text: str, expected: str) -> None:
    """A time in the skipped hour is the end of the gap, one in the repeated hour the first of the two."""
    assert expected == format_instant(parse_instant(text, "Europe/Berlin"))


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-11-22", "20261122T090000Z", "2026-W47-7T09:00", "2026-02-30T00:00Z", "1795338000"]
)
def test_junk_is_refused_with_an_example(text: str) -> None:
    """Whatever is not an instant is refused, and the message shows how to write one."""
    with pytest.raises(ValueError, match="is not an instant: write it like 2026-11-22T09:00:00Z") as refused:
        parse_instant(text)

    assert str(refused.value).startswith(repr(text))


@given(st.integers(0, 253_402_300_799_999))
def test_what_is_written_reads_back(instant: int) -> None:
    """Every instant until the year 9999 survives the way to text and back."""
    assert instant == parse_instant(format_instant(instant))
