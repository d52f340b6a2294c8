"""A job whose tag nobody serves: a scheduler's whole loop, and a worker that is not there, comes, and dies."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import TENANT, HandWorker, make_job, run_field, run_ids, server_time, set_due
from taglane.settings import load_settings
from taglane.store import keys
from taglane_scheduler.care import unserved
from taglane_scheduler.services import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane_scheduler.services import Services


@pytest.fixture
def services(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """A scheduler that runs, and looks at what waits more often than it does elsewhere."""
    monkeypatch.setattr(unserved, "EVERY_S", 0.2)
    monkeypatch.setattr(unserved, "PATIENCE_MS", 0)
    built = build(load_settings(url=url, lease="3s"))
    built.prepare()
    built.tenants.create(TENANT)
    stopping, ready = threading.Event(), threading.Event()
    running = build(load_settings(url=url, lease="3s"))
    thread = threading.Thread(target=running.loop.run, args=(stopping, ready.set))
    thread.start()
    assert ready.wait(10)
    yield built
    stopping.set()
    thread.join(10)
    running.close()
    built.close()


def fire(services: Services, redis: Redis, **fields: Any) -> str:
    """Put a job that is due; return its run once the scheduler has made it."""
    job = make_job(every="1h", tag="acme.gpu", **fields)
    services.jobs.put(job)
    set_due(redis, job, server_time(redis))
    redis.publish(keys.wake(TENANT), 0)
    found: list[str] = eventually(lambda: run_ids(redis))
    return found[0]


@pytest.mark.parametrize(
    ("policy", "state", "tag"),
    [
        ("skip", "skipped", "acme.gpu"),
        ("fail", "failed", "acme.gpu"),
        ("overflow:acme", "queued", "acme"),
        ("overflow:shared.any", "queued", "shared.any"),
        ("wait", "queued", "acme.gpu"),
    ],
)
def test_each_policy(services: Services, redis: Redis, policy: str, state: str, tag: str) -> None:
    """The run is where its job says, with the reason on record when nobody will execute it."""
    run_id = fire(services, redis, no_worker=policy)

    assert (state, tag) == (run_field(redis, run_id, "state"), run_field(redis, run_id, "tag"))
    reason = run_field(redis, run_id, "error")
    assert reason == (f"no worker serves tag 'acme.gpu': no_worker is {policy}" if policy in {"skip", "fail"} else None)


def test_a_wait_has_an_end(services: Services, redis: Redis) -> None:
    """The scheduler itself ends what has waited for its time to live: no worker has to come for that."""
    run_id = fire(services, redis, no_worker="wait:300ms")

    eventually(lambda: run_field(redis, run_id, "state") == "expired")
    eventually(lambda: redis.exists(keys.queue(TENANT, "acme.gpu", 0)) == 0)


def test_a_wait_is_said_aloud_until_a_worker_comes(
    services: Services, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """With the command that starts one; it takes the run, which does not expire any more once it goes."""
    caplog.set_level("INFO")
    run_id = fire(services, redis)
    eventually(lambda: "start=taglane worker --tag acme.gpu" in caplog.text)

    worker = HandWorker(services.server)
    services.server.call("hello", TENANT, worker.id, "tags", "acme.gpu")
    (leased,) = services.server.call("fetch", TENANT, worker.id, 1, 10, "1", "acme.gpu")[2]
    worker.finish([(run_id, leased[1])])

    assert "succeeded" == run_field(redis, run_id, "state")
    eventually(lambda: "tag_served_again tenant=acme tag=acme.gpu" in caplog.text)
    assert 1 == caplog.text.count("tag_unserved")


def test_a_dead_worker_serves_nothing(services: Services, redis: Redis) -> None:
    """From a lease after its last heartbeat on, a job that skips without a worker skips."""
    services.server.call("hello", TENANT, "w", "tags", "acme.gpu", "lease", 300)
    first = fire(services, redis, no_worker="skip", overlap="allow")
    assert "queued" == run_field(redis, first, "state")
    eventually(lambda: redis.scard(keys.workers(TENANT)) == 0)

    set_due(redis, make_job(), server_time(redis))
    redis.publish(keys.wake(TENANT), 0)

    eventually(lambda: len(run_ids(redis)) == 2)
    assert "skipped" == run_field(redis, run_ids(redis)[1], "state")
