"""Durations as users spell them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.model.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("90m", 5_400_000),
        ("250ms", 250),
        ("2d", 172_800_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("0s", 0),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, expected: int) -> None:
    """Each unit counts once, and any may be left out."""
    assert expected == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    ["", "5", "5 minutes", "-5s", "+5s", "5s5m", "5s5s", "1.5h", " 5s", "5s\n", "5S", "\u0665s", "9999999999999s"],
)
def test_junk_is_refused_with_an_example(text: str) -> None:
    """Whatever is not a duration is refused, and the message shows how to write one."""
    with pytest.raises(ValueError, match="is not a duration: write it like 30s, 5m, 1h30m") as refused:
        parse_duration(text)

    assert str(refused.value).startswith(repr(text))


def test_a_minimum_refuses_what_is_shorter() -> None:
    """Zero passes by default; where a least duration is asked for, less than that is refused."""
    assert 1_000 == parse_duration("1s", minimum=1_000)
    with pytest.raises(ValueError, match="'0s' is too short: it takes at least 1s"):
        parse_duration("0s", minimum=1_000)


def test_a_negative_duration_has_no_spelling() -> None:
    """What can't be read back is not written."""
    with pytest.raises(ValueError, match="-1 ms"):
        format_duration(-1)


@given(st.integers(0, 10**15))
def test_what_is_written_reads_back(duration: int) -> None:
    """Every duration survives the way to text and back."""
    assert duration == parse_duration(format_duration(duration))
