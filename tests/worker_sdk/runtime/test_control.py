"""Celery's remote control, as far as tenants have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import taglane
from factories import HandWorker, enqueue, make_server
from taglane.errors import TenantMissing
from taglane.runtime import app as runtime_app
from taglane.runtime.control import Control, NotBroadcast
from taglane.store import keys
from taglane.store.runs import Runs
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from redis import Redis
    from taglane.store.server import Server


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def app(store: Server, monkeypatch: pytest.MonkeyPatch) -> Celery:
    """An application with the tenant's credential."""
    return make_app(Tenants(store).create("acme").url, monkeypatch)


def make_app(url: str, monkeypatch: pytest.MonkeyPatch) -> Celery:
    for module in runtime_app._modules_with_ids():  # noqa: SLF001 - Celery's modules stay as they were
        monkeypatch.setattr(module, "uuid", module.uuid)
    return taglane.create_app("controlled", url, set_as_current=False)


def test_an_installed_application_has_it(app: Celery) -> None:
    """Also where the application has used its own before."""
    assert isinstance(app.control, Control)


def test_revoke_ends_what_waits(app: Celery, store: Server) -> None:
    """One run or several; by their results too, as applications do."""
    made = [enqueue(store) for _ in range(4)]

    app.control.revoke(made[0])
    app.control.revoke(made[1:3])
    app.AsyncResult(made[3]).revoke()

    runs = Runs(store)
    assert {("cancelled", "cancelled before start: revoked")} == {
        (found.state, found.error) for found in map(runs.get, made)
    }


def test_revoke_of_what_runs(app: Celery, store: Server, redis: Redis) -> None:
    """It goes on, as with Celery; with `terminate` its worker is asked to stop it."""
    run_id = enqueue(store)
    ((_, token),) = HandWorker(store).hello().fetch()
    store.call("renew", "acme", "worker-1", 1, 1, run_id, token, 5, "")
    asked = keys.cancels("acme", "worker-1")

    app.control.revoke(run_id)
    assert set() == redis.smembers(asked)
    app.control.revoke(run_id, terminate=True)
    assert {run_id.encode()} == redis.smembers(asked)
    redis.delete(asked)
    app.control.terminate(run_id)
    assert {run_id.encode()} == redis.smembers(asked)
    assert "running" == Runs(store).get(run_id).state


def test_revoke_of_what_has_ended(app: Celery, store: Server) -> None:
    """It stays what it is."""
    run_id = enqueue(store)
    worker = HandWorker(store).hello()
    worker.finish(worker.fetch())

    app.control.revoke(run_id, terminate=True)

    assert "succeeded" == Runs(store).get(run_id).state


def test_revoke_of_what_is_not_there(app: Celery, store: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Celery says nothing of it either; the others of a list are revoked all the same."""
    run_id = enqueue(store)

    with caplog.at_level("INFO"):
        app.control.revoke(["acme.unknown", run_id])

    assert "revoke_unknown run=acme.unknown" in caplog.text
    assert "cancelled" == Runs(store).get(run_id).state


def test_revoke_is_the_tenants_own(app: Celery, store: Server) -> None:
    """Another tenant's run is another tenant's."""
    run_id = enqueue(store, "globex")

    app.control.revoke(run_id)

    assert "queued" == Runs(store).get(run_id).state


def test_revoke_by_the_operator(store: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The id says whose run it is; or the tenant in reach does."""
    app = make_app(store.url, monkeypatch)
    run_id = enqueue(store)
    store.call("enqueue", "acme", "nightly", "a.b", "acme", 0, "{}", "", "", "", "")

    app.control.revoke(run_id)
    with pytest.raises(TenantMissing, match="nightly"):
        app.control.revoke("nightly")
    with taglane.tenant("acme"):
        app.control.revoke("nightly")

    assert ["cancelled"] * 2 == [Runs(store).get(each, "acme").state for each in (run_id, "nightly")]


@pytest.mark.parametrize(
    "command",
    [
        lambda control: control.inspect().active(),
        lambda control: control.inspect().ping(),
        lambda control: control.ping(),
        lambda control: control.rate_limit("a.b", "5/s"),
        lambda control: control.shutdown(),
        lambda control: control.add_consumer("q"),
        lambda control: control.purge(),
        lambda control: control.discard_all(),
        lambda control: control.broadcast("anything"),
    ],
    ids=["active", "ping", "pong", "rate_limit", "shutdown", "add_consumer", "purge", "discard_all", "broadcast"],
)
def test_what_needs_a_broadcast_says_where_to_look(app: Celery, command: Any) -> None:
    """It is not silently dead: no worker would hear it."""
    with pytest.raises(NotBroadcast, match="taglane workers"):
        command(app.control)
