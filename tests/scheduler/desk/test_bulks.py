"""The desk's bulk actions."""

from __future__ import annotations

from functools import partial

import pytest
from desks import desk_of, ended, services_at
from eventually import eventually
from taglane.errors import NotFound, RoleNeeded
from taglane.model.query import parse_query


def test_all_that_a_query_takes_is_run_again_once(url: str) -> None:
    """Of the principal's tenant alone, twice asked is once done, and the audit log tells how much."""
    with services_at(url) as services:
        mine = [ended(services) for _ in range(3)]
        others = ended(services, tenant="globex")
        desk = desk_of(services, "acme", "operate")

        for slip in ("a", "b"):
            work = desk.bulks.start("retry", parse_query("state:failed"), slip)
            eventually(partial(getattr, work, "is_over"))

        assert all(services.stores.runs.get(run_id).replayed for run_id in mine)
        assert services.stores.runs.get(others).replayed is None
        assert 6 == len(services.stores.runs.list("acme"))
        told = [(entry.action, entry.details.get("done")) for entry in services.audit.list("acme", count=4)]
        assert [("bulk-retry-begun", None), ("bulk-retry", 3), ("bulk-retry-begun", None), ("bulk-retry", 0)] == told


def test_bulk_actions_take_the_role_operate(url: str) -> None:
    """And another's work is as one that there is not."""
    with services_at(url) as services:
        with pytest.raises(RoleNeeded):
            desk_of(services, "acme", "read").bulks.start("cancel", parse_query(""), "slip")
        work = desk_of(services, "acme", "operate").bulks.start("cancel", parse_query(""), "slip")

        with pytest.raises(NotFound):
            desk_of(services, "globex", "operate").bulks.get(work.id)
        assert desk_of(services, "acme", "operate").bulks.stop(work.id).stop
        eventually(lambda: work.is_over)
