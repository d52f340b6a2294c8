"""The tenants' ACL users: they follow the record, whoever changes it meanwhile, on the primary and on its replicas."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import make_server
from sentinel import Group, Node
from taglane.errors import Refused, TenantNotFound
from taglane.store import keys
from taglane.store.server import Server, connect_node
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.record import Record
from taglane_scheduler.tenancy.tenants import Tenants
from taglane_scheduler.tenancy.users import Users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane_scheduler.embedded import ServerBinary


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    made = make_server(url)
    yield made
    made.close()


@pytest.fixture
def group(binary: ServerBinary) -> Iterator[Group]:
    """A primary and one replica, which nobody watches."""
    with Group(binary, replicas=1, sentinels=0) as running:
        yield running


def users_of(redis: Redis) -> set[str]:
    names: Any = redis.execute_command("ACL", "USERS")  # type: ignore[no-untyped-call]
    return {name if isinstance(name, str) else name.decode() for name in names}


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


def test_users_of_tenants_that_are_gone_go(store: Server, redis: Redis) -> None:
    """A user without a record, as a delete that was interrupted leaves it; not an operator's own of such a name."""
    tenants = Tenants(store)
    tenants.create("acme")
    tenants.create("gone")
    redis.hdel(keys.TENANTS, "gone")
    redis.execute_command("ACL", "SETUSER", "taglane-metrics", "on", "nopass", "+info")  # type: ignore[no-untyped-call]

    assert 1 == Users(store).apply_all()

    assert {"default", "taglane-acme", "taglane-metrics"} == users_of(redis)


def test_a_full_server_gets_its_users(binary: ServerBinary) -> None:
    """A scheduler that connects to one makes them, as anywhere: Redis refuses transactions then."""
    with EmbeddedServer(binary=binary, options={"maxmemory-policy": "noeviction"}) as running:
        server = make_server(running.url)
        url = Tenants(server).create("acme").url
        server.redis.execute_command("ACL", "DELUSER", "taglane-acme")
        server.redis.config_set("maxmemory", 1)

        assert 1 == Users(server).apply_all()

        assert is_let_in(url)
        server.close()


def test_an_old_password_never_comes_back(store: Server, redis: Redis) -> None:
    """While one process applies the users, again and again, another one's rotations and its delete hold at once."""
    stopping = threading.Event()
    operator = make_server(store.url)

    def apply() -> None:
        while not stopping.is_set():
            Users(operator).apply_all()

    tenants = Tenants(store)
    first = tenants.create("acme")
    thread = threading.Thread(target=apply)
    thread.start()
    try:
        for _ in range(30):
            second = tenants.rotate("acme", overlap=0)
            assert not is_let_in(first.url)
            assert is_let_in(second.url)
            first = second
        tenants.delete("acme")
        assert {"default"} == users_of(redis)
    finally:
        stopping.set()
        thread.join()
        operator.close()
    assert {"default"} == users_of(redis)


def test_what_is_being_deleted_is_not_rotated_back(store: Server) -> None:
    """A rotation writes no record where there is none any more."""
    tenants = Tenants(store)

    with pytest.raises(TenantNotFound):
        tenants.rotate("acme")

    assert [] == tenants.names()


def test_a_change_of_nothing_writes_nothing(store: Server, redis: Redis) -> None:
    """Neither record nor user, and nobody is disconnected."""
    made = Tenants(store).create("acme")
    own = Server(made.url)
    own.redis.ping()
    before = redis.client_list()

    assert not Users(store).write("acme", lambda record: record, disconnects=True)
    assert not Users(store).write("nobody", lambda record: record)

    assert {each["id"] for each in before} == {each["id"] for each in redis.client_list()}
    own.close()


def test_many_users_are_made_in_batches(store: Server, redis: Redis) -> None:
    """However many tenants there are, all get theirs."""
    record = Record(1, ("ab" * 32,)).to_json()
    redis.hset(keys.TENANTS, mapping={f"t{number}": record for number in range(250)})

    assert 250 == Users(store).apply_all()

    assert 251 == len(users_of(redis))
    assert [] == Users(store).amiss()


def test_users_that_are_not_as_they_should_be(store: Server, redis: Redis) -> None:
    """One that is missing, one that may do more, one that is off, one with another password; and not the fifth."""
    tenants = Tenants(store)
    for name in ("absent", "bold", "closed", "dodgy", "exact"):
        tenants.create(name)
    for command in ("DELUSER taglane-absent", "SETUSER taglane-bold +keys", "SETUSER taglane-closed off"):
        redis.execute_command("ACL", *command.split())  # type: ignore[no-untyped-call]
    redis.execute_command("ACL", "SETUSER", "taglane-dodgy", ">word")  # type: ignore[no-untyped-call]

    assert ["absent", "bold", "closed", "dodgy"] == tenants.users_amiss()

    tenants.apply_all()
    assert [] == tenants.users_amiss()


def at(node: Node, url: str) -> str:
    """A tenant's url, for another node than the one that it names."""
    return url.rpartition(":")[0] + f":{node.port}/0"


def test_a_replica_has_the_users_at_once(group: Group) -> None:
    """A tenant made, given a new password, and deleted, is so on the replica as well."""
    primary, replica = group.nodes
    store = make_server(primary.url)
    tenants = Tenants(store)

    first = tenants.create("acme")
    with replica.client() as redis:
        eventually(lambda: redis.function_list(library="taglane"))
        assert is_let_in(at(replica, first.url))
        second = tenants.rotate("acme", overlap=0)
        assert not is_let_in(at(replica, first.url))
        assert is_let_in(at(replica, second.url))
        tenants.delete("acme")
        assert {"default"} == users_of(redis)
    store.close()


def test_a_replica_that_has_lost_its_users_gets_them_again(group: Group) -> None:
    """One that was started anew has none: a sweep gives it those, and takes away what it has too many."""
    primary, replica = group.nodes
    store = make_server(primary.url)
    tenants = Tenants(store)
    tenants.create("acme")
    tenants.apply_to_replicas()

    replica.stop()
    replica.start()
    eventually(store.replica_addresses, 20, "it does not come back")
    with replica.client() as redis:
        assert {"default"} == users_of(redis)
        tenants.apply_to_replicas()
        assert {"default", "taglane-acme"} == users_of(redis)

        Tenants(Server(primary.url)).create("other")
        redis.execute_command("ACL", "DELUSER", "taglane-other")
        tenants.apply_to_replicas()
        assert {"default", "taglane-acme", "taglane-other"} == users_of(redis)
    store.close()


def test_a_replica_that_is_silent_holds_nobody_up(group: Group, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once and left alone for a while; the tenant is made all the same."""
    primary, replica = group.nodes
    store = make_server(primary.url)
    tenants = Tenants(store)
    replica.freeze()
    with caplog.at_level(logging.WARNING):
        made = tenants.create("acme")
        start = time.monotonic()
        for _ in range(100):
            tenants.apply_to_replicas()
    assert time.monotonic() - start < 5
    assert 1 == caplog.text.count("replica_without_users")
    assert is_let_in(made.url)
    store.close()


def test_a_node_is_asked_under_the_operators_name(group: Group) -> None:
    """The credential is the url's."""
    primary, replica = group.nodes
    with connect_node(primary.url, "127.0.0.1", replica.port, timeout=1.0) as client:
        assert "slave" == client.info("replication")["role"]


def test_on_a_full_server_records_and_users_are_written_all_the_same(binary: ServerBinary) -> None:
    """A tenant that has filled it can be given a new password, and deleted: that is what makes room."""
    with EmbeddedServer(binary=binary, options={"maxmemory-policy": "noeviction"}) as server:
        store = make_server(server.url)
        tenants = Tenants(store)
        first = tenants.create("acme")
        store.redis.set("taglane:{acme}:key:k", "x" * 1_000)
        store.redis.config_set("maxmemory", 1)

        second = tenants.rotate("acme", overlap=0)
        assert [False, True] == [is_let_in(made.url) for made in (first, second)]
        assert 1 == tenants.delete("acme")
        assert {"default"} == users_of(store.redis)
        assert ["create", "rotate", "delete"] == [entry.action for entry in tenants.audit.list()]
        store.close()
