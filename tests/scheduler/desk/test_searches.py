"""The desk's search: of the principal's own tenant alone."""

from __future__ import annotations

import pytest
from desks import desk_of, services_at
from taglane.errors import TenantNotFound
from taglane.model.query import parse_query


def test_a_search_finds_the_principals_own(url: str) -> None:
    """A tenant that it names and does not see is as one that there is not; a pattern names none."""
    with services_at(url) as services:
        made = {
            tenant: services.stores.client.enqueue("shop.tasks.report", tenant=tenant).id
            for tenant in ("acme", "globex")
        }
        of_acme, of_all = desk_of(services, "acme", "read").searches, desk_of(services, None, "read").searches

        assert [made["acme"]] == [run.id for run in of_acme.page(parse_query("")).runs]
        assert [made["acme"]] == of_acme.ids(parse_query("tenant:* state:queued"), 10)
        assert set(made.values()) == {run.id for run in of_all.page(parse_query("")).runs}
        with pytest.raises(TenantNotFound):
            of_acme.page(parse_query("tenant:globex"))
