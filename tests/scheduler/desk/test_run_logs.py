"""The desk's logs of runs."""

from __future__ import annotations

import pytest
from desks import desk_of, ended, services_at
from taglane.errors import RunNotFound


def test_a_log_is_its_tenants(url: str) -> None:
    """Another tenant's person finds no run."""
    with services_at(url) as services:
        run_id = ended(services)

        assert [] == desk_of(services, "acme", "read").logs.read(run_id).lines
        assert desk_of(services, "acme", "read").logs.tail(run_id).ended
        for read in (desk_of(services, "globex").logs.read, desk_of(services, "globex").logs.tail):
            with pytest.raises(RunNotFound):
                read(run_id)
