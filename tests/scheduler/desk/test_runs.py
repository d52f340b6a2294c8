"""The desk's runs."""

from __future__ import annotations

import pytest
from desks import desk_of, services_at
from taglane.errors import RoleNeeded, RunTimeout


def test_runs_are_made_stopped_and_made_again(url: str) -> None:
    """A key makes one of two; a wait that is over says so."""
    with services_at(url, "acme") as services:
        desk = desk_of(services, "acme", "write").runs
        made, again = (desk.enqueue("shop.task", "acme", {"a": 1}, key="one") for _ in range(2))

        assert (made.id, True, False) == (again.id, made.created, again.created)
        with pytest.raises(RunTimeout):
            desk.wait(made.id, 0.01)
        assert "cancelled" == desk.cancel(made.id)
        assert "by ann" in str(desk.get(made.id).error)
        new = desk.retry(made.id)
        assert "queued" == desk.get(new).state
        with pytest.raises(RoleNeeded):
            desk_of(services, "acme", "read").runs.cancel(new)
        with pytest.raises(RoleNeeded):
            desk_of(services, "acme", "operate").runs.enqueue("shop.task", "acme")
