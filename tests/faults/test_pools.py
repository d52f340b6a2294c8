"""A shared pool with real workers and a real scheduler: killed, frozen, wrong; no tenant's run is lost or another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from taglane import Taglane
from taglane.model.limits import Limits
from taglane.store.limits import LimitStore
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scene import Scene

TENANTS = ("acme", "globex", "initech")
TAG = "shared.small"


@pytest.fixture
def client(scene: Scene) -> Iterator[Taglane]:
    """The operator's, of three tenants."""
    for tenant in TENANTS[1:]:
        Tenants(scene.operator).create(tenant)
    found = Taglane(scene.server.url)
    yield found
    found.server.close()


def enqueue(client: Taglane, count: int, task: str = "faulty.celery.work", **params: object) -> list[str]:
    made = []
    for tenant in TENANTS:
        runs = client.enqueue_many(task, tenant=tenant, tag=TAG, params=[params] * count)
        made += [run.id for run in runs]
    return made


def succeeded(client: Taglane, runs: list[str]) -> bool:
    return all(client.runs.get(run).state == "succeeded" for run in runs)


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_pool_serves_all_tenants(scene: Scene, client: Taglane, pool: str) -> None:
    """In every kind of pool; each run once, as the tenant whose it is."""
    runs = enqueue(client, 20)
    with scene.scheduler() as scheduler, scene.pool_worker(pool, 2) as worker:
        scheduler.wait_ready()
        worker.wait_ready()
        eventually(lambda: succeeded(client, runs), 60, "not all runs succeeded")
        more = enqueue(client, 5)
        eventually(lambda: succeeded(client, more), 30, "what came later was not served")
    assert {*runs, *more} == set(scene.starts())
    assert {1} == set(scene.starts().values())


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_killed_pool_workers_runs_are_taken_over_in_every_tenant(scene: Scene, client: Taglane, pool: str) -> None:
    """Another worker of the pool runs what it held; only what it was in runs twice."""
    runs = enqueue(client, 60)
    with scene.scheduler() as scheduler, scene.pool_worker(pool) as first:
        scheduler.wait_ready()
        eventually(lambda: sum(scene.starts().values()) > 20, 30, "the first worker starts nothing")
        first.kill()
        with scene.pool_worker(pool):
            eventually(lambda: succeeded(client, runs), 60, "not all runs succeeded")
    assert set(runs) == set(scene.starts())
    assert sum(scene.starts().values()) - len(runs) <= 2


def test_a_frozen_pool_worker_ends_nothing_that_others_have(scene: Scene, client: Taglane) -> None:
    """When it thaws it is another worker, and goes on as one."""
    gate = scene.folder / "gate"
    runs = enqueue(client, 1, "faulty.celery.wait_for_file", path=str(gate))
    with scene.scheduler() as scheduler, scene.pool_worker("threads", 3, lease=1.0) as frozen:
        scheduler.wait_ready()
        eventually(lambda: len(scene.starts()) == 3, 30, "nothing started")
        frozen.freeze()
        with scene.pool_worker("threads", 3, lease=1.0):
            eventually(lambda: sum(scene.starts().values()) == 6, 30, "nobody took them over")
            gate.touch()
            eventually(lambda: succeeded(client, runs), 30, "they did not end")
            frozen.thaw()
        more = enqueue(client, 5)
        eventually(lambda: succeeded(client, more), 30, "the thawed worker serves nobody")
    assert {2} == {scene.starts()[run] for run in runs}


def test_a_cap_holds_in_a_pool_too(scene: Scene, client: Taglane) -> None:
    """One tenant at its limit leaves the slots to the others, and still has all of its runs done."""
    LimitStore(scene.operator).put("acme", Limits(running=1))
    gate = scene.folder / "gate"
    waiting = [
        client.enqueue("faulty.celery.wait_for_file", tenant="acme", tag=TAG, params={"path": str(gate)}).id
        for _ in range(3)
    ]
    with scene.scheduler() as scheduler, scene.pool_worker("threads", 3):
        scheduler.wait_ready()
        eventually(lambda: len(scene.starts()) == 1, 30, "nothing started")
        others = [
            client.enqueue("faulty.celery.work", tenant=tenant, tag=TAG).id for tenant in TENANTS[1:] for _ in range(5)
        ]
        eventually(lambda: succeeded(client, others), 30, "the others wait behind a tenant at its limit")
        assert 1 == sum(run in scene.starts() for run in waiting)
        gate.touch()
        eventually(lambda: succeeded(client, waiting), 30, "what was parked was not served")


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_run_in_a_pool_reaches_its_own_tenant_alone(scene: Scene, client: Taglane, pool: str) -> None:
    """Its worker has the operator's credential, and a tenant says by a run's params what that is to look at."""
    secret = client.enqueue("faulty.celery.work", tenant="globex", tag=TAG, params={"n": 42})
    with scene.scheduler() as scheduler, scene.pool_worker(pool, 2):
        scheduler.wait_ready()
        assert 42 == secret.wait(30).result
        before = client.runs.get(secret.id)

        curious = client.enqueue("faulty.celery.reach", tenant="acme", tag=TAG, params={"run": secret.id})
        found = curious.wait(30).result

        assert {"OtherTenant"} == set(found.values()), found
        assert before == client.runs.get(secret.id)
        assert 8 == len(found)
    assert 1 == len(list(client.runs.list("globex", limit=10)))
