from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import taglane
from celery import Celery
from factories import make_server
from taglane.errors import TenantMissing
from taglane.runtime import app as runtime_app
from taglane.runtime.control import NotBroadcast
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis


@pytest.fixture
def app(url: str, monkeypatch: pytest.MonkeyPatch) -> Celery:
    """An application with the operator's credential, on a server that has the library."""
    for module in runtime_app._modules_with_ids():  # noqa: SLF001
        monkeypatch.setattr(module, "uuid", module.uuid)
    make_server(url)
    return taglane.install(Celery("controlled", set_as_current=False), url)


def send(app: Celery) -> str:
    """Send a task of the tenant `acme`; return its id."""
    with taglane.tenant("acme"):
        return str(app.send_task("a.task").id)


def test_what_waits_is_revoked(app: Celery) -> None:
    """By its id, by several, and by its result."""
    first, second, third = (send(app) for _ in range(3))
    app.control.revoke(first)
    app.control.revoke([second])
    app.AsyncResult(third).revoke()
    assert ["REVOKED"] * 3 == [app.AsyncResult(run).state for run in (first, second, third)]


@pytest.mark.parametrize(("terminate", "asked"), [(False, set()), (True, {"run"})])
def test_what_runs_is_stopped_when_that_is_asked_for(
    app: Celery, redis: Redis, terminate: bool, asked: set[str]
) -> None:
    """As in Celery: revoke alone lets a task that runs go on."""
    run = send(app)
    redis.hset(keys.run("acme", run), mapping={"state": "running", "holder": "w1", "token": "1"})
    redis.zadd(keys.leases("acme"), {run: 1})

    app.control.revoke(run, terminate=terminate)

    assert {run.encode() for _ in asked} == redis.smembers(keys.cancels("acme", "w1"))


def test_an_unknown_task_is_no_error(app: Celery) -> None:
    """Celery's workers would not answer either."""
    app.control.revoke("acme.nothing")


def test_whose_task_it_is_must_be_known(app: Celery) -> None:
    """An id of somebody's own says nothing of its tenant."""
    with pytest.raises(TenantMissing):
        app.control.revoke("mine")
    with taglane.tenant("acme"):
        app.control.revoke("mine")


CALLS: list[Callable[[Celery], object]] = [
    lambda app: app.control.broadcast("shutdown"),
    lambda app: app.control.ping(),
    lambda app: app.control.purge(),
    lambda app: app.control.rate_limit("a.task", "1/s"),
    lambda app: app.control.add_consumer("other"),
    lambda app: app.control.inspect().active(),
]


@pytest.mark.parametrize("call", CALLS, ids=["broadcast", "ping", "purge", "rate_limit", "add_consumer", "inspect"])
def test_what_would_be_broadcast_is_refused(app: Celery, call: Callable[[Celery], object]) -> None:
    """It says so, and where to look: it is not silently dead."""
    with pytest.raises(NotBroadcast, match="taglane workers"):
        call(app)
