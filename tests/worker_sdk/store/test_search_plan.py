"""Which indexes a search looks through, and where it goes on."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.errors import BadQuery
from taglane.model.query import parse_query
from taglane.store.search_plan import Place, indexes_of, read_place, those_with


@given(st.builds(Place, st.integers(-(2**53) + 1, 2**53 - 1), st.text(max_size=20), st.text(max_size=50)))
def test_a_place_is_read_back(place: Place) -> None:
    """And is fit for a URL."""
    assert place == read_place(str(place))
    assert str(place).replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=80))
def test_no_text_is_more_than_refused(text: str) -> None:
    """Whatever stands in a URL."""
    with suppress(BadQuery):
        read_place(text)


@pytest.mark.parametrize("text", ["x", "W10", "WzEsMiwzXQ", "bnVsbA", "W3RydWUsInQiLCJyIl0x"])
def test_a_place_of_other_kinds_is_refused(text: str) -> None:
    with pytest.raises(BadQuery):
        read_place(text)


def test_a_call_goes_on_where_the_page_ended() -> None:
    """Of one instant the higher tenants came before, and the lower ones are still to come."""
    place = Place(5, "m", "m.1")

    assert ("5", b"m.1") == place.seen_by("m")
    assert ("5", "<") == place.seen_by("z")
    assert ("5", "") == place.seen_by("a")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["runs"]),
        ("job:report*", ["runs"]),
        ("job:report", ["last"]),
        ("state:queued,running", ["open"]),
        ("state:queued,failed", ["runs"]),
        ("state:failed,expired", ["unwell"]),
        ("state:unwell", ["unwell", "dead"]),
        ("state:dead", ["unwell", "dead"]),
        ("state:skipped", ["skipped"]),
        ("state:succeeded", ["ended"]),
        ("state:skipped,dead", ["ended", "dead"]),
        ("job:report state:failed", ["unwell"]),
    ],
)
def test_the_narrowest_indexes_that_hold_all(text: str, names: list[str]) -> None:
    assert names == [each.name for each in indexes_of(parse_query(text))]


@pytest.mark.parametrize(
    ("text", "acme", "acme2"),
    [
        ("", True, True),
        ("tag:acme", True, False),
        ("tag:acme.gpu", True, False),
        ("tag:acme.g*", True, False),
        ("tag:acme*", True, True),
        ("tag:shared.small", True, True),
        ("tag:shared*", True, True),
        ("tag:*", True, True),
        ("tenant:acme*", True, True),
        ("tenant:acme2", False, True),
    ],
)
def test_a_tag_names_its_tenant(text: str, acme: bool, acme2: bool) -> None:
    found = those_with(parse_query(text), ["acme", "acme2"])
    assert [acme, acme2] == [tenant in found for tenant in ("acme", "acme2")]
