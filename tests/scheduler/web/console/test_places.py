"""Places in a list, as a URL says them."""

from __future__ import annotations

import pytest
from taglane_scheduler.web.console.places import place_of, start_of
from taglane_scheduler.web.console.view import Ask


@pytest.mark.parametrize(("said", "start"), [("", 0), ("50", 50), ("-1", 0), ("1e3", 0), ("٣", 0), ("9" * 9, 0)])
def test_what_is_no_place_is_the_beginning(said: str, start: int) -> None:
    assert start == start_of(Ask("/", query={"start": said}))


def test_a_place_is_a_tenant_and_a_name() -> None:
    assert ("acme", "acme.gpu") == place_of(Ask("/", query={"after": "acme~acme.gpu"}))
    assert ("", "") == place_of(Ask("/"))
