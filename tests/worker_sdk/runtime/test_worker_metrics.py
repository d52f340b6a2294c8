"""A worker's `/metrics`."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from factories import make_held
from processes import WorkerProcess
from scraping import Page
from taglane import Taglane
from taglane.runtime.carry import Outcome
from taglane.runtime.pulse import Pulse
from taglane.runtime.slate import Slate
from taglane.runtime.tally import Tally
from taglane.runtime.worker_metrics import exposition, tell
from taglane.settings import load_settings
from taglane.store import functions
from taglane.store.workers import Workers
from taglane_scheduler.embedded import free_port
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis


def make_tally() -> Tally:
    tally, held = Tally(), make_held()
    tally.fetches, tally.slots = 2, 1
    tally.received("a.b", "acme")
    tally.received("a.b", "acme")
    tally.ended(held, Outcome("succeeded"), 0.02)
    tally.ended(held, Outcome("failed", '{"e": {"exc_type": "ValueError"}}'), 0.2)
    tally.ended(held, Outcome("retry"), 0.2)
    return tally


def test_counts_are_told_under_our_names() -> None:
    """By task and tag; never by worker, host or run."""
    page = Page(exposition("", make_tally(), processes=3, celery=False)[1])

    place = {"task": "a.b", "tag": "acme"}
    assert (3.0, 2.0) == (page("taglane_worker_processes"), page("taglane_worker_fetches_total"))
    assert (2.0, 3.0) == (
        page("taglane_worker_runs_received_total", **place),
        page("taglane_worker_runs_begun_total", **place),
    )
    assert 1.0 == page("taglane_worker_runs_ended_total", **place, state="retrying")
    assert (3.0, 1.0) == (
        page("taglane_worker_run_seconds_count", **place),
        page("taglane_worker_run_seconds_bucket", **place, le="0.025"),
    )
    assert {"task", "tag", "state", "le"} == page.labels("taglane_worker_")
    assert not page.labels("celery_")


def test_counts_are_told_under_celery_exporters_names() -> None:
    """With its labels: what it groups by host, it is told to call generic."""
    page = Page(exposition("", make_tally())[1])

    place = {"name": "a.b", "queue_name": "acme", "hostname": "generic"}
    for name, value in {
        "received": 2.0,
        "started": 3.0,
        "succeeded": 1.0,
        "retried": 1.0,
        "revoked": 0.0,
        "rejected": 0.0,
    }.items():
        assert value == page(f"celery_task_{name}_total", **place)
    assert 1.0 == page("celery_task_failed_total", **place, exception="ValueError")
    assert 3.0 == page("celery_task_runtime_count", **place)
    assert (1.0, 0.0) == (
        page("celery_worker_up", hostname="generic"),
        page("celery_worker_tasks_active", hostname="generic"),
    )


def get(address: str, token: str = "") -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"http://{address}/metrics", headers=headers), timeout=10
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("address", "token", "shown"),
    [
        ("127.0.0.1:0", "", {"": (200, "taglane_worker_slots 1.0")}),
        ("0.0.0.0:0", "", {"": (403, "set TAGLANE_METRICS_TOKEN")}),
        (
            "0.0.0.0:0",
            "secret",
            {
                "": (401, "Authorization: Bearer"),
                "wrong": (401, "Authorization: Bearer"),
                "secret": (200, "taglane_worker_slots 1.0"),
            },
        ),
    ],
)
def test_strangers_are_told_nothing(address: str, token: str, shown: dict[str, tuple[int, str]]) -> None:
    """Whoever asks another interface than the loopback one shows the token."""
    slate = Slate()
    slate.write(make_tally())
    health = tell(load_settings(health=address, metrics_token=token), [Pulse(slate=slate), Pulse()])
    assert health is not None
    try:
        found = {each: get(health.address.replace("0.0.0.0", "127.0.0.1"), each) for each in shown}
    finally:
        health.stop()

    for each, (status, said) in shown.items():
        assert status == found[each][0]
        assert said in found[each][1]
        assert "secret" not in found[each][1]
    assert "secret" not in repr(load_settings(metrics_token="secret"))


def test_one_endpoint_tells_of_all_processes(url: str, redis: Redis, tmp_path: Path) -> None:
    """Summed up by the parent; what one that died had counted stays counted."""
    functions.load(redis)
    operator = Taglane(url)
    tenant = Taglane(Tenants(operator.server).create("acme").url)
    address = f"127.0.0.1:{free_port()}"
    environment = {"TAGLANE_HEALTH": address, "FAULTY_LOG": str(tmp_path / "log"), "TAGLANE_LEASE": "2s"}
    with WorkerProcess(tenant.settings.url, ["acme"], "faulty.celery", "auto", 2, environment):
        for run in [tenant.enqueue("faulty.celery.work", params={"seconds": 0.0}) for _ in range(5)]:
            run.wait(20)

        def counted() -> tuple[float | None, ...]:
            page = Page(get(address)[1].encode())
            labels = {"task": "faulty.celery.work", "tag": "acme", "state": "succeeded"}
            return page("taglane_worker_runs_ended_total", **labels), page("taglane_worker_slots")

        eventually(lambda: counted() == (5.0, 2.0))
        workers = Workers(operator.server)
        before = {worker.pid for worker in workers.list("acme")}
        for pid in before:
            os.kill(pid or 0, signal.SIGKILL)
        eventually(lambda: len({worker.pid for worker in workers.list("acme")} - before) == 2, 20)
        eventually(lambda: counted() == (5.0, 2.0))
    tenant.close()
    operator.close()
