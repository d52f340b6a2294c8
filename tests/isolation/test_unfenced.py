"""A server where nobody may make users: everything works, and everybody says that a tag is a convention there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from processes import SchedulerProcess, WorkerProcess
from taglane import Taglane
from taglane.settings import load_settings
from taglane.store.server import Server
from taglane_scheduler.services import build
from taglane_scheduler.tenancy.tenants import Tenants, url_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def clerks_url(url: str, redis: Redis) -> Iterator[str]:
    """An operator's url, without the right to ACL, as managed servers give them out."""
    redis.acl_setuser(
        "clerk", enabled=True, passwords="+word", keys="*", channels="*", categories=["+@all"], commands=["-acl"]
    )
    yield url_for(url, "clerk", "word")
    redis.acl_deluser("clerk")


def test_a_server_without_acl_rights_serves_tenants(clerks_url: str, redis: Redis) -> None:
    """Scheduler, workers, jobs, runs and the end of a tenant, all with the operator's url."""
    server = Server(clerks_url)
    tenants = Tenants(server)
    made = [tenants.create(name) for name in ("acme", "globex")]
    assert {clerks_url} == {tenant.url for tenant in made}
    assert [False, False] == [tenant.fenced for tenant in made]
    environment = {"TAGLANE_LEASE": "2s", "FAULTY_LOG": "/dev/null"}
    with (
        SchedulerProcess(clerks_url) as scheduler,
        WorkerProcess(clerks_url, ["acme"], "faulty.celery", "solo", env=environment) as worker,
        WorkerProcess(clerks_url, ["globex"], "faulty.celery", "solo", env=environment) as other,
    ):
        for process in (scheduler, worker, other):
            process.wait_ready()
        lane = Taglane(clerks_url)
        run = lane.enqueue("faulty.celery.work", tenant="acme", params={"n": 5}).wait(timeout=20)
        lane.put_job("tick", tenant="globex", task="faulty.celery.work", every="1s")
        eventually(lambda: any(r.state == "succeeded" for r in lane.runs.list("globex")), 20)
        assert (5, "acme", "acme") == (run.result, run.info.tenant, str(run.info.worker).partition("@")[0])
        assert "isolation_by_convention" in scheduler.log_text()
        assert "ERROR" not in scheduler.log_text()

        tenants.delete("acme")

        eventually(lambda: not worker.alive, 20, "it lives on in a tenant that is gone")
        assert 67 == worker.exit_code
        assert [] == redis.keys("*{acme}*")
        assert other.alive
        lane.close()
    server.close()


def test_the_doctor_shows_it(clerks_url: str) -> None:
    """As a warning, with what would mend it; with the right it is gone."""
    services = build(load_settings(url=clerks_url))
    services.tenants.create("acme")

    checks = {check.check: check for check in services.doctor.examine()}

    assert "warn" == checks["isolation"].status
    assert "every worker has the operator's credential" in checks["isolation"].seen
    assert "users" not in checks
    services.close()
