"""The desk's calls: covered for who reads, shown to who may write, and that is noted."""

from __future__ import annotations

import pytest
from desks import desk_of, ended, services_at
from taglane.errors import RoleNeeded, RunNotFound


def test_secrets_are_shown_to_who_may_write_and_the_audit_log_tells(url: str) -> None:
    """Who may less gets them covered; another tenant's person finds no run."""
    with services_at(url) as services:
        run_id = ended(services, password="hunter2", rows=3)

        assert {"password": "••••••", "rows": 3} == desk_of(services, "acme", "read").calls.get(run_id).call.params
        with pytest.raises(RoleNeeded):
            desk_of(services, "acme", "operate").calls.uncovered(run_id)
        with pytest.raises(RunNotFound):
            desk_of(services, "globex").calls.get(run_id)
        shown = desk_of(services, "acme", "write").calls.uncovered(run_id)

        assert {"password": "hunter2", "rows": 3} == shown.params
        done = [entry.action for entry in services.audit.list("acme") if entry.action != "denied"]
        assert ["params-shown"] == done[-1:]


def test_a_run_with_other_params_keeps_what_was_covered(url: str) -> None:
    """It takes the role `write`."""
    with services_at(url) as services:
        run_id = ended(services, password="hunter2", rows=3)

        with pytest.raises(RoleNeeded):
            desk_of(services, "acme", "operate").calls.again(run_id, {})
        made = desk_of(services, "acme", "write").calls.again(run_id, {"password": "••••••", "rows": 4})

        assert {"password": "hunter2", "rows": 4} == services.stores.calls.get(made).params
