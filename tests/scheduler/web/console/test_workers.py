"""The page of the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services


def test_workers_what_they_hold_and_who_is_silent(filled: Services, console: Callable[..., TestClient]) -> None:
    """Of all tenants for the operator, with the pools; what a worker says of itself is escaped."""
    filled.server.redis.hset(keys.worker("acme", "worker-1"), mapping={"info": '{"host": "<i>apps</i>"}', "seen": "1"})
    (run,) = filled.stores.workers.holding(filled.stores.workers.list("acme"))["acme", "worker-1"]

    text = console().get("/workers").text

    assert f"/runs/{run}" in text
    assert "&lt;i&gt;apps&lt;/i&gt;" in text
    assert 'class="state stalled"' in text
    assert "No worker is silent" in console().get("/workers?stalled=1&tenant=globex").text


def test_a_worker_is_drained_by_who_may(filled: Services, console: Callable[..., TestClient]) -> None:
    """A reader has no button, and is refused; so is another tenant's operator."""
    form = {"csrf": "the-form's-own", "tenant": "acme", "worker": "worker-1"}
    reader, operator = console("acme", "read"), console("acme", "operate")

    assert "/workers/drain" not in reader.get("/workers").text
    assert "taglane workers drain worker-1 --tenant acme" in operator.get("/workers").text
    for who in (reader, console("globex", "operate")):
        who.post("/workers/drain", data=form)
    assert not filled.stores.workers.list("acme")[0].draining
    operator.post("/workers/drain", data=form)
    assert filled.stores.workers.list("acme")[0].draining
    assert "/workers/drain" not in operator.get("/workers").text


def test_a_workers_name_is_quoted_where_a_command_is_to_be_copied(
    filled: Services, console: Callable[..., TestClient]
) -> None:
    """Its tenant chose it, and the operator would paste it into a shell."""
    name = "w$(reboot)"
    filled.server.call("hello", "acme", name, "tags", "acme")

    assert "taglane workers drain &#39;w$(reboot)&#39; --tenant acme" in console().get("/workers").text


def test_a_tenant_sees_its_own_workers_alone(filled: Services, console: Callable[..., TestClient]) -> None:
    """And no pool."""
    filled.server.redis.sadd(keys.POOLS, "small")

    assert "shared.small" in console().get("/workers").text
    mine = console("globex", "admin").get("/workers").text
    assert "worker-1" not in mine
    assert "shared.small" not in mine
