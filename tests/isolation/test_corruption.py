"""A tenant that spoils all that is its own: another tenant's jobs fire on time, and their runs are executed.

`SPOILT_DUES=1000000 pytest tests/isolation/test_corruption.py` is the long form of the flood.
"""

from __future__ import annotations

import inspect
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import server_time
from processes import SchedulerProcess, WorkerProcess
from taglane.client import Taglane
from taglane.settings import load_settings
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.services import build
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from taglane.model.run import RunInfo

    Spoil = Callable[[Any, str], object]

DUES = int(os.environ.get("SPOILT_DUES", "20000"))
LATE = 1_000
"""Ms that a fire of the neighbour may be late."""

FIRES = 4

NOT_OURS: dict[str, Spoil] = {
    "a text where none belongs": lambda redis, key: redis.execute_command("SET", key, b"\xff{spoilt"),
    "a hash where none belongs": lambda redis, key: redis.execute_command(
        "HSET", key, "state", "spoilt", "n", "-1e999"
    ),
    "a list where none belongs": lambda redis, key: redis.execute_command("RPUSH", key, "", "\x00", "x" * 1_000),
    "a set where none belongs": lambda redis, key: redis.execute_command("SADD", key, "", "{globex}", "x y"),
    "a zset where none belongs": lambda redis, key: redis.execute_command(
        "ZADD", key, "-inf", "", 1, "{globex}", "inf", "x"
    ),
}


def own_keys(tenant: str) -> list[str]:
    """One key of each kind that a tenant has, by whatever `keys.py` spells."""
    made = []
    for name, spell in vars(keys).items():
        if name in {"prefix", "read_only_prefix", "limits", "done", "wake", "step_of"} or not inspect.isfunction(spell):
            continue
        wanted = list(inspect.signature(spell).parameters)
        if wanted and wanted[0] == "tenant":
            given = {"tag": tenant, "step": "0", "name": "j1", "day": "20260101"}
            made.append(spell(*[tenant, *(given.get(each, f"{tenant}.1") for each in wanted[1:])]))
    return made


@pytest.fixture
def lanes(binary: Any, tmp_path: Path) -> Iterator[tuple[Server, Taglane, Taglane, Path]]:
    """The operator, the spoiler's client and the neighbour's."""
    with EmbeddedServer(binary=binary) as server:
        operator = Server(server.url)
        tenants = Tenants(operator)
        clients = [Taglane(tenants.create(name).url) for name in ("acme", "globex")]
        yield operator, clients[0], clients[1], tmp_path
        for client in clients:
            client.close()
        operator.close()


def fires_on_time(operator: Server, neighbour: Taglane, folder: Path) -> list[int]:
    """Start scheduler and worker beside a spoilt tenant; answers by how many ms each fire of the neighbour was late."""
    environment = {"FAULTY_LOG": str(folder / "starts"), "TAGLANE_LEASE": "2s"}
    with (
        SchedulerProcess(operator.url, {"TAGLANE_LEASE": "2s"}) as scheduler,
        WorkerProcess(neighbour.runs._server.url, ["globex"], "faulty.celery", "solo", env=environment) as worker,  # noqa: SLF001
    ):
        scheduler.wait_ready()
        worker.wait_ready()
        begin = server_time(operator.redis)
        neighbour.put_job("tick", task="faulty.celery.work", every="1s")

        def done() -> list[RunInfo]:
            runs = [run for run in neighbour.runs.list(job="tick") if run.state == "succeeded"]
            return runs if len(runs) >= FIRES else []

        runs = eventually(done, 60, "the neighbour's job does not fire")
        assert scheduler.alive
        assert "Traceback" not in scheduler.log_text()
    due = [run.due for run in runs if run.due and run.due >= begin]
    assert due
    return [int(run.queued_at) - int(run.due) for run in runs if run.due and run.queued_at]


def test_whatever_lies_in_tenants_keys_others_fire_on_time(lanes: tuple[Server, Taglane, Taglane, Path]) -> None:
    """Every kind of key that a tenant has, spoilt in every way: each by a tenant of its own, all at once.

    They are written with the tenant's own credential; console and doctor answer as well.
    """
    operator, _, neighbour, folder = lanes
    spoilt = {f"spoiler-{number}": spoil for number, spoil in enumerate(NOT_OURS.values())}
    for tenant, spoil in spoilt.items():
        with closing(Taglane(Tenants(operator).create(tenant).url)) as spoiler:
            for number in range(3):
                spoiler.put_job(f"j{number}", task="faulty.celery.work", every="1s")
            spoiler.enqueue("faulty.celery.work")
            for key in own_keys(tenant):
                spoiler.server.redis.execute_command("DEL", key)
                spoil(spoiler.server.redis, key)

    late = fires_on_time(operator, neighbour, folder)

    assert max(late) < LATE, late
    services = build(load_settings(url=operator.url))
    assert services.doctor.examine()
    assert services.jobs.list("globex")
    for tenant in spoilt:
        count = len(own_keys(tenant))
        assert count > 20
        assert Tenants(operator).delete(tenant) >= count
    services.close()


@pytest.mark.timeout(600)
def test_a_flood_of_dues_makes_nobody_late(lanes: tuple[Server, Taglane, Taglane, Path]) -> None:
    """Of jobs that there are not, all due at once, and as many of names in the other indexes."""
    operator, spoiler, neighbour, folder = lanes
    own: Any = Server(spoiler.runs._server.url).redis  # noqa: SLF001
    for start in range(0, DUES, 10_000):
        numbers = range(start, min(DUES, start + 10_000))
        flood = [word for number in numbers for word in (number % 7, f"no job {number}")]
        pipeline = own.pipeline(transaction=False)
        for key in (keys.due("acme"), keys.delayed("acme", "acme"), keys.expiring("acme"), keys.leases("acme")):
            pipeline.execute_command("ZADD", key, *flood)
        pipeline.execute_command("SADD", keys.tags("acme"), *flood)
        pipeline.execute_command("SADD", keys.workers("acme"), *flood)
        pipeline.execute_command("SADD", keys.waiting("acme"), *flood)
        pipeline.execute()

    late = fires_on_time(operator, neighbour, folder)

    print(f"{DUES} dues: late by {sorted(late)} ms")
    assert max(late) < LATE, late
    own.close()
