"""What is kept of a tenant, without a server."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from taglane_scheduler.tenancy.record import Record, has_ends

HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
TIMES = st.integers(0, 10**13)


@given(st.lists(HASHES, unique=True), TIMES, st.dictionaries(st.text(), st.integers()))
def test_a_record_is_read_as_it_is_kept(hashes: list[str], created: int, other: dict[str, int]) -> None:
    """With all that a newer version has written beside it."""
    ours = {"created", "password_hashes", "cut", "until"}
    record = Record(
        created,
        tuple(hashes),
        "why" * (created % 2),
        dict.fromkeys(hashes[:1], 7),
        {k: v for k, v in other.items() if k not in ours},
    )

    assert record == Record.from_json(record.to_json())


def test_a_record_of_the_version_before_is_read() -> None:
    """It knew of no end."""
    assert Record(5, ("aa",)) == Record.from_json('{"created": 5, "password_hashes": ["aa"]}')


def test_what_a_newer_version_has_written_is_kept() -> None:
    """Through a rotation too."""
    record = Record.from_json('{"created": 5, "password_hashes": ["aa"], "plan": {"name": "gold"}}')

    assert {"name": "gold"} == json.loads(record.rotated("bb", now=9, overlap=0).to_json())["plan"]


def test_a_rotation_lets_the_old_ones_go_on_for_so_long() -> None:
    """Each for the shorter of what it had left and what it is given now; with no overlap, not at all."""
    first = Record(5, ("aa",)).rotated("bb", now=1_000, overlap=500)
    second = first.rotated("cc", now=1_100, overlap=1_000)

    assert (("aa", "bb"), {"aa": 1_500}) == (first.password_hashes, first.until)
    assert (("aa", "bb", "cc"), {"aa": 1_500, "bb": 2_100}) == (second.password_hashes, second.until)
    assert (("dd",), {}) == ((last := second.rotated("dd", now=1_200, overlap=0)).password_hashes, last.until)
    assert ("bb", "cc", "ee") == second.rotated("ee", now=1_500, overlap=1).password_hashes


@given(st.lists(HASHES, min_size=1, unique=True), st.lists(TIMES, min_size=1), TIMES)
def test_at_an_instant_exactly_those_open_whose_end_is_ahead(hashes: list[str], ends: list[int], now: int) -> None:
    """And those without an end."""
    until = dict(zip(hashes, ends, strict=False))
    record = Record(1, tuple(hashes), until=until)

    at = record.at(now)

    assert [each for each in hashes if until.get(each, now + 1) > now] == list(at.password_hashes)
    assert set(at.until) <= set(at.password_hashes)
    assert at == at.at(now)


def test_a_record_that_is_shut_opens_to_nobody() -> None:
    record = Record(5, ("aa", "bb"), until={"aa": 9}).shut()

    assert ((), {}) == (record.password_hashes, record.until)


def test_only_records_with_an_end_are_looked_at() -> None:
    """All of them are looked through twice a minute."""
    assert has_ends(Record(5, ("aa",), until={"aa": 9}).to_json().encode())
    assert not has_ends(Record(5, ("aa",)).to_json().encode())
