"""A tenant that is cut off: nobody logs in as it, whatever else happens, until it is restored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cluster import everywhere
from factories import enqueue, make_server
from redis.exceptions import OutOfMemoryError
from sentinel import Group
from taglane.errors import OperatorNeeded, Refused, TenantNotFound
from taglane.store import keys
from taglane.store.server import Server, connect
from taglane_scheduler.care.alerts import Alerts
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.cutoff import CutOff
from taglane_scheduler.tenancy.record import Record
from taglane_scheduler.tenancy.tenants import Tenants, url_for
from taglane_scheduler.tenancy.users import Users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane_scheduler.embedded import ServerBinary


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def cutoff(store: Server) -> CutOff:
    return CutOff(store, Alerts(store))


@pytest.fixture
def acme(store: Server) -> str:
    return Tenants(store).create("acme").url


def is_let_in(url: str) -> bool:
    server = Server(url)
    try:
        with server.renamed("knocking"):
            server.redis.ping()
    except Refused:
        return False
    finally:
        server.close()
    return True


def test_a_cut_ends_connections_and_keeps_data(store: Server, cutoff: CutOff, acme: str, redis: Redis) -> None:
    """Its own alone; an alert says why, and what undoes it; restored, it goes on with the password that it had."""
    run = enqueue(store)
    other = Tenants(store).create("other").url
    with connect(acme) as client, connect(other) as neighbour:
        assert client.ping()
        assert neighbour.ping()

        assert cutoff.cut("acme", "70.0 MiB of memory")

        assert not is_let_in(acme)
        assert b"user=taglane-acme " not in redis.execute_command("CLIENT", "LIST")  # type: ignore[no-untyped-call]
        assert neighbour.ping()
    (alert,) = Alerts(store).list()
    assert ("tenant_cut", "acme") == (alert.kind, alert.tenant)
    assert "cut off: 70.0 MiB of memory:  taglane tenant restore acme" == alert.text
    assert "70.0 MiB of memory" == cutoff.reason("acme")
    assert redis.exists(keys.run("acme", run))

    assert cutoff.restore("acme")

    assert is_let_in(acme)
    assert "" == cutoff.reason("acme")
    assert [] == Alerts(store).list()


def test_it_is_cut_and_restored_once(cutoff: CutOff, acme: str, store: Server) -> None:
    """Asked again, nothing changes; and what somebody left half done is done."""
    assert (True, False) == (cutoff.cut("acme", ""), cutoff.cut("acme", "again"))
    assert "by the operator" == cutoff.reason("acme")
    everywhere(store.redis).execute_command("ACL", "SETUSER", "taglane-acme", "on")
    assert not cutoff.cut("acme", "again")
    assert not is_let_in(acme)
    assert (True, False) == (cutoff.restore("acme"), cutoff.restore("acme"))
    assert is_let_in(acme)


def test_a_cut_outlives_who_applies_the_users(store: Server, cutoff: CutOff, acme: str, redis: Redis) -> None:
    """A scheduler's connect, a server that has lost its users, a new password: it stays cut off, and is not amiss."""
    cutoff.cut("acme", "why")
    users = Users(store)

    users.apply_all()
    assert not is_let_in(acme)
    assert [] == users.amiss()
    redis.execute_command("ACL", "SETUSER", "taglane-acme", "on")  # type: ignore[no-untyped-call]
    assert ["acme"] == users.amiss()
    redis.execute_command("ACL", "DELUSER", "taglane-acme")  # type: ignore[no-untyped-call]
    users.apply_all()
    assert not is_let_in(acme)
    new = Tenants(store).rotate("acme").url
    assert not is_let_in(new)
    assert not is_let_in(acme)

    cutoff.restore("acme")
    assert is_let_in(new)
    assert is_let_in(acme)


def test_replicas_shut_it_out_too(binary: ServerBinary) -> None:
    """Whoever becomes the primary knows it; one that was away as well, at the next sweep."""
    with Group(binary, replicas=1, sentinels=0) as group:
        primary, replica = group.nodes
        server = make_server(primary.url)
        url = Tenants(server).create("acme").url
        cutoff = CutOff(server, Alerts(server))
        here = url_for(replica.url, "taglane-acme", url.split(":")[2].split("@")[0])
        Users(server).apply_to_replicas()
        assert is_let_in(here)

        cutoff.cut("acme", "why")

        assert not is_let_in(here)
        cutoff.restore("acme")
        assert is_let_in(here)
        server.close()


def test_a_full_server_shuts_it_out_too(binary: ServerBinary) -> None:
    """It is perhaps this tenant that has filled it; and its record keeps it shut out."""
    with EmbeddedServer(binary=binary, options={"maxmemory-policy": "noeviction"}) as running:
        server = make_server(running.url)
        url = Tenants(server).create("acme").url
        server.redis.config_set("maxmemory", 1)
        with pytest.raises(OutOfMemoryError):
            server.redis.set("more", "x")

        assert CutOff(server, Alerts(server)).cut("acme", "why")

        Users(server).apply_all()
        assert not is_let_in(url)
        assert CutOff(server, Alerts(server)).restore("acme")
        assert is_let_in(url)
        server.close()


def test_there_must_be_such_a_tenant(cutoff: CutOff) -> None:
    for ask in (lambda: cutoff.cut("nobody", "why"), lambda: cutoff.restore("nobody"), lambda: cutoff.reason("nobody")):
        with pytest.raises(TenantNotFound):
            ask()


def test_a_deleted_tenants_name_is_free(store: Server, cutoff: CutOff, acme: str) -> None:
    """Who gets it begins anew."""
    cutoff.cut("acme", "why")
    assert not is_let_in(acme)
    Tenants(store).delete("acme")

    assert is_let_in(Tenants(store).create("acme").url)


def test_tenants_cut_nobody_off(store: Server, acme: str) -> None:
    """Neither others nor themselves; nor do they restore."""
    Tenants(store).create("other")
    tenant = Server(acme)
    cutoff = CutOff(tenant, Alerts(tenant))
    for ask in (lambda: cutoff.cut("other", "why"), lambda: cutoff.restore("acme"), lambda: cutoff.reason("other")):
        with pytest.raises(OperatorNeeded):
            ask()
    tenant.close()


def test_a_record_keeps_why() -> None:
    """And one that is not cut off is kept as it was before there was such a thing."""
    assert Record(5, ("aa",), "why") == Record.from_json(Record(5, ("aa",), "why").to_json())
    assert "cut" not in Record(5, ("aa",)).to_json()
