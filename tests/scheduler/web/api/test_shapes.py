"""Pages by tenants."""

from __future__ import annotations

import pytest
from taglane.errors import BadSchedule
from taglane_scheduler.web.api.shapes import MOST_TENANTS, by_tenants, cut, instant, read_duration, read_instant


def pages(tenants: list[str], limit: int, of_each: int = 2) -> list[list[str]]:
    """All pages of things of which each tenant has so many."""
    found, after = [], ""
    while True:
        page = by_tenants(tenants, after, limit, lambda some: [(name, name) for name in some for _ in range(of_each)])
        found.append(page["items"])
        if page["next"] is None:
            return found
        after = page["next"]


@pytest.mark.parametrize("limit", [1, 2, 3, 40, 500])
def test_each_thing_is_on_one_page(limit: int) -> None:
    """And a tenant's are on one page together."""
    tenants = [f"t{number:02}" for number in range(30)]
    found = pages(tenants, limit)

    assert [name for name in tenants for _ in range(2)] == [name for page in found for name in page]
    assert all(len(page) <= limit + 1 for page in found)


def test_a_page_looks_at_so_many_tenants() -> None:
    """Where none has anything it ends before it is full, and the next goes on."""
    tenants = [f"t{number:04}" for number in range(2 * MOST_TENANTS + 1)]

    assert [[], [], []] == pages(tenants, 50, of_each=0)


def test_what_is_no_instant_is_none() -> None:
    """A tenant may have written any number; of a request it is a mistake in that field."""
    assert None is instant(10**30) is instant(None)
    assert "2023-11-14T22:13:20Z" == instant(1_700_000_000_000)
    with pytest.raises(BadSchedule, match="since: 'soon'"):
        read_instant("since", "soon")
    with pytest.raises(BadSchedule, match="expires: '0s'"):
        read_duration("expires", "0s")
    assert "ab…" == cut("abc", 2)
