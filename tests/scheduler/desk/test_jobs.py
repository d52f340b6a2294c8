"""The desk's jobs."""

from __future__ import annotations

import pytest
from desks import desk_of, put_job, services_at
from factories import make_job
from taglane.errors import RoleNeeded


def test_each_change_takes_its_role_and_is_noted(url: str) -> None:
    """Under the name of who asked."""
    with services_at(url, "acme") as services:
        put_job(services)
        operator, writer, reader = (desk_of(services, "acme", role) for role in ("operate", "write", "read"))
        with writer.sitting():
            writer.jobs.put(make_job("other"))
        with operator.sitting():
            assert operator.jobs.pause("acme", "report").paused
            assert not operator.jobs.resume("acme", "report").paused
            assert operator.jobs.trigger("acme", "report").startswith("acme.")
            with pytest.raises(RoleNeeded):
                operator.jobs.trigger("acme", "report", {"other": 1})
            with pytest.raises(RoleNeeded):
                operator.jobs.delete("acme", "report")
        with pytest.raises(RoleNeeded):
            reader.jobs.pause("acme", "report")
        assert "report" == reader.jobs.get("acme", "report").job.name
        with writer.sitting():
            writer.jobs.delete("acme", "report")

        entries = services.audit.list("acme")
        done = [entry.action for entry in entries if entry.who == "ann"]
        assert ["job-put", "job-pause", "job-resume", "job-trigger", "job-delete"] == done
