"""The desk's audit log."""

from __future__ import annotations

import pytest
from desks import desk_of, services_at
from taglane.errors import BadParams, RoleNeeded


def test_a_tenants_administrator_reads_what_was_done_to_it_and_not_from_where(url: str) -> None:
    """By page, the newest first."""
    with services_at(url, "acme", "globex") as services:
        for number in range(3):
            services.audit.note(f"deed-{number}", "acme")
        own, every = desk_of(services, "acme").audits, desk_of(services).audits

        first = own.page(limit=2)
        rest = own.page(before=first.next, limit=2)

        told = [entry.action for entry in (*first.entries, *rest.entries)]
        assert ["deed-2", "deed-1", "deed-0", "create"] == told
        assert {""} == {entry.address for entry in first.entries}
        assert {"acme", "globex", ""} == {entry.tenant for entry in every.page().entries}
        assert {"127.0.0.1"} == {entry.address for entry in every.page("acme").entries}
        assert [] == list(own.page(denied=True).entries)
        with pytest.raises(RoleNeeded):
            desk_of(services, "acme", "write").audits.page()
        with pytest.raises(BadParams):
            every.page(before="soon")
