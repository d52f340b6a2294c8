"""The desk's records of tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from desks import desk_of, services_at
from factories import enqueue
from taglane.errors import RoleNeeded, TenantNotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane_scheduler.desk.records import RecordDesk

CHANGES: list[Callable[[RecordDesk], object]] = [
    lambda desk: desk.create("initech"),
    lambda desk: desk.rotate("acme", 0),
    lambda desk: desk.cut("acme", "late"),
    lambda desk: desk.restore("acme"),
    lambda desk: desk.delete("acme"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_only_who_administers_all_changes_records(url: str, change: Callable[[RecordDesk], object]) -> None:
    """Neither a tenant's own administrator nor somebody who may less."""
    with services_at(url, "acme") as services:
        before = services.tenants.list()
        for desk in (desk_of(services, "acme"), desk_of(services, None, "write")):
            with pytest.raises(RoleNeeded):
                change(desk.records)
        assert before == services.tenants.list()


def test_usage_is_a_row_a_day(url: str) -> None:
    """Of the tenants that one sees; a day on which nothing happened is there, too."""
    with services_at(url) as services:
        enqueue(services.server, "acme")
        desk = desk_of(services, "acme", "read").records

        assert [0, 0, 1] == [each.made for each in desk.usage("acme", 3)]
        assert None is desk.measure("acme")
        for reading in (lambda: desk.usage("globex", 3), lambda: desk.limits_of(["globex"])):
            with pytest.raises(TenantNotFound):
                reading()


def test_a_page_of_records_goes_on_behind_a_name(url: str) -> None:
    """The operator's alone."""
    with services_at(url, "acme", "globex", "zorg") as services:
        records, more = desk_of(services, None, "read").records.page("o", "a", 1)

        assert (["globex"], True) == ([each.tenant for each in records], more)
        with pytest.raises(RoleNeeded):
            desk_of(services, "acme").records.page("", "", 1)
        with pytest.raises(RoleNeeded):
            desk_of(services, "acme").records.get("acme")
