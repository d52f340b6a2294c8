"""The audit log, on a real server."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING

import pytest
from factories import server_time
from taglane.errors import OperatorNeeded
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.tenancy import audit as module
from taglane_scheduler.tenancy.audit import DENIED, Audit, add, client_fields, fields
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from redis import Redis


@pytest.fixture
def audit(url: str) -> Audit:
    return Audit(Server(url))


def deny(redis: Redis, tenant: str, what: str) -> None:
    entry = fields(DENIED, tenant, f"taglane-{tenant}", "h", {"object": what})
    add(redis, keys.DENIED, entry)


def test_an_entry_says_who_did_what_to_whom_from_where_and_when(audit: Audit, redis: Redis) -> None:
    """The process's user and machine, the credential, and the address that the server saw."""
    before = server_time(redis)

    audit.note("limit", "acme", running=5, why="too many")

    (entry,) = audit.list()
    assert ("limit", "acme", "127.0.0.1") == (entry.action, entry.tenant, entry.address)
    assert f"{getpass.getuser()}@{socket.gethostname()} (default)" == entry.who
    assert {"running": 5, "why": "too many"} == entry.details
    assert before <= entry.at <= server_time(redis)


def test_each_change_of_a_tenant_is_noted(url: str, audit: Audit) -> None:
    """By whoever makes it, with no word of a password."""
    tenants = Tenants(Server(url))
    made = tenants.create("acme")
    tenants.rotate("acme", overlap=5_000)
    tenants.apply_all()
    tenants.delete("acme")

    assert ["create", "rotate", "delete"] == [entry.action for entry in audit.list("acme")]
    assert [{}, {"overlap_ms": 5_000}, {"keys": 0}] == [entry.details for entry in audit.list("acme")]
    assert ["create", "rotate", "users-applied", "delete"] == [entry.action for entry in audit.list()]
    password = made.url.split(":")[2].split("@")[0]
    assert password not in str(audit.list())


def test_what_was_done_and_what_was_denied_come_in_order(audit: Audit, redis: Redis) -> None:
    """The last so many of both, of one tenant or of all, and not older than asked for."""
    for number in range(3):
        audit.note("pause", "acme", number=number)
        deny(redis, "acme", f"k{number}")
        deny(redis, "other", f"o{number}")

    entries = audit.list()
    assert 9 == len(entries)
    assert sorted(entry.at for entry in entries) == [entry.at for entry in entries]
    assert ["denied"] * 3 + ["pause"] * 3 == sorted(entry.action for entry in audit.list("acme"))
    assert [0, 1, 2] == [entry.details["number"] for entry in entries if entry.action == "pause"]
    assert entries[-4:] == audit.list(count=4)
    assert [] == audit.list(since=server_time(redis) + 1_000)
    assert [] == audit.list("nobody")


def test_a_page_is_not_the_end(audit: Audit, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for is found however much of others lies above it."""
    monkeypatch.setattr(module, "PAGE", 3)
    audit.note("pause", "acme")
    for number in range(10):
        audit.note("resume", "other", number=number)
        deny(redis, "other", f"{number}")

    assert ["pause"] == [entry.action for entry in audit.list("acme")]
    assert 20 == len(audit.list("other"))
    assert 7 == len(audit.list("other", count=7))


def test_whoever_follows_misses_nothing(audit: Audit, redis: Redis) -> None:
    """From the end on, both streams, once each; with nothing new it waits no longer than told."""
    audit.note("pause", "acme")
    ends = audit.ends()
    assert [] == audit.after(ends, wait_ms=1)

    audit.note("resume", "acme")
    deny(redis, "acme", "k")

    came = [*audit.after(ends, wait_ms=1_000), *audit.after(ends, wait_ms=1)]
    assert {"resume", "denied"} == {entry.action for entry in came}
    assert 2 == len(came)
    assert [] == audit.after(ends, wait_ms=1)


def test_a_flood_of_denials_pushes_no_deed_out(audit: Audit, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream is trimmed for itself."""
    monkeypatch.setattr(module, "KEPT", 100)
    audit.note("delete", "acme")
    for number in range(1_000):
        deny(redis, "evil", str(number))

    assert redis.xlen(keys.DENIED) < 400
    assert ["delete"] == [entry.action for entry in audit.list("acme")]


def test_it_is_noted_on_a_full_server_too(audit: Audit, redis: Redis) -> None:
    """Whoever shuts out the tenant that has filled it leaves a trace."""
    maxmemory = str(redis.config_get("maxmemory")["maxmemory"])
    try:
        redis.config_set("maxmemory", 1)
        audit.note("delete", "acme")
    finally:
        redis.config_set("maxmemory", maxmemory)

    assert ["delete"] == [entry.action for entry in audit.list()]


def test_what_somebody_else_has_added_is_shown_as_it_can_be(audit: Audit, redis: Redis) -> None:
    """Garbage in the stream breaks no reading of the rest."""
    audit.note("pause", "acme")
    redis.xadd(keys.AUDIT, {"what": b"\xff", "details": "{"})
    redis.xadd(keys.AUDIT, {"details": "[1]"})

    assert ["pause", "", ""] == [entry.action for entry in audit.list()]


def test_a_tenant_reads_and_writes_none_of_it(url: str) -> None:
    """It is told that this takes the operator's credential."""
    own = Audit(Server(Tenants(Server(url)).create("acme").url))

    for call in (
        own.list,
        own.ends,
        lambda: own.note("pause", "other"),
        lambda: own.after({keys.AUDIT: "0"}, wait_ms=1),
    ):
        with pytest.raises(OperatorNeeded):
            call()


def test_a_client_is_read() -> None:
    """As `CLIENT INFO` and `ACL LOG` tell of it."""
    assert {"id": "3", "addr": "[::1]:5", "name": ""} == client_fields(b"id=3 addr=[::1]:5 name=\n")
