"""The desk's dead letters."""

from __future__ import annotations

import pytest
from desks import desk_of, ended, put_job, services_at
from taglane.errors import RoleNeeded, TenantNotFound


def test_all_of_a_job_are_replayed_or_dropped(url: str) -> None:
    """By who may operate, or write; of the principal's tenant alone; who has any is told, the most first."""
    with services_at(url) as services:
        put_job(services)
        for job in ("report", "report", ""):
            ended(services, "dead", job=job)
        ended(services, "dead", tenant="globex")
        letters = desk_of(services, "acme", "operate").dead_letters

        assert [("acme", 3), ("globex", 1)] == desk_of(services).dead_letters.counts()
        assert [("acme", 3)] == letters.counts()
        assert 2 == letters.replay_all("acme", "report")
        with pytest.raises(RoleNeeded):
            letters.drop_all("acme")
        with pytest.raises(TenantNotFound):
            letters.replay_all("globex")
        assert 1 == desk_of(services, "acme", "write").dead_letters.drop_all("acme")
        assert [("globex", 1)] == desk_of(services).dead_letters.counts()
