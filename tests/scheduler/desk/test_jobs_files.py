"""The desk's jobs files."""

from __future__ import annotations

import pytest
from desks import desk_of, put_job, services_at
from taglane.errors import BadJobsFile, RoleNeeded

FILE = "tenants: {acme: {jobs: {mail: {task: shop.mail, every: 1h}}}}"
LIMITS = "tenants: {acme: {limits: {running: 4}}}"


def test_a_file_is_compared_applied_and_written(url: str) -> None:
    """What was exported makes no difference."""
    with services_at(url, "acme") as services:
        put_job(services)
        desk = desk_of(services, "acme", "write").jobs_files

        assert ["created"] == [each.change for each in desk.diff(FILE)]
        assert ["created", "pruned"] == [each.change for each in desk.apply(FILE, prune=True)]
        assert ["mail"] == [each.job.name for each in services.jobs.list("acme")]
        assert not [each for each in desk.diff(desk.export("acme")) if each.is_any]
        with pytest.raises(BadJobsFile, match=r"jobs\.yaml:1:16"):
            desk.diff("tenants: {acme}x")
        with pytest.raises(RoleNeeded):
            desk_of(services, "acme", "operate").jobs_files.diff(FILE)


def test_a_file_of_a_tenant_changes_no_limits(url: str) -> None:
    """And nothing else in it is done then."""
    with services_at(url, "acme") as services:
        with pytest.raises(RoleNeeded):
            desk_of(services, "acme").jobs_files.apply(LIMITS)
        assert None is services.stores.limits.get("acme").running

        desk_of(services).jobs_files.apply(LIMITS)
        assert 4 == services.stores.limits.get("acme").running
