from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.model.size import about, format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("7B", 7), ("10kB", 10_000), ("10KB", 10_000), ("64KiB", 65_536), ("3 MiB", 3 << 20)],
)
def test_a_size_is_a_number_and_a_unit(text: str, size: int) -> None:
    """Decimal units and binary ones; none is bytes."""
    assert size == parse_size(text)


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1.5GB", "1 XB", "1kiB", "1mb", "1MiBs", "1" * 16, "٣"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """With a sentence that shows how one looks."""
    with pytest.raises(ValueError, match="is not a size: write it like"):
        parse_size(text)


@given(st.integers(0, 10**15 - 1))
def test_a_size_reads_back(size: int) -> None:
    assert size == parse_size(format_size(size))


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (61_341_696, "58.5 MiB")])
def test_people_are_told_a_few_figures(size: int, text: str) -> None:
    assert text == about(size)
