"""Tenants: the record, the users made from it, and what is left after one is deleted."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from eventually import eventually
from redis import exceptions
from taglane.errors import BadName, Refused, ServerUnavailable, TenantExists, TenantNotFound
from taglane.store import functions, keys
from taglane.store.server import Server, connect
from taglane_scheduler.tenancy.tenants import Tenants, url_for

if TYPE_CHECKING:
    from redis import Redis


@pytest.fixture
def tenants(url: str) -> Tenants:
    return Tenants(Server(url))


def can_log_in(url: str) -> bool:
    with connect(url) as client:
        try:
            return bool(client.ping())
        except exceptions.AuthenticationError:
            return False


def test_a_tenant_gets_a_url_of_its_own(tenants: Tenants, url: str) -> None:
    """The url is the operator's with another user, and it opens."""
    made = tenants.create("acme")

    assert ("acme", "acme") == (made.tenant, made.tag)
    assert urlsplit(url).port == urlsplit(made.url).port
    assert "taglane-acme" == urlsplit(made.url).username
    assert can_log_in(made.url)


def test_the_record_holds_a_hash_and_no_password(tenants: Tenants, redis: Redis) -> None:
    """Who reads the record can't log in as a tenant."""
    password = urlsplit(tenants.create("acme").url).password or ""

    record = bytes(redis.hget(keys.TENANTS, "acme") or b"")  # type: ignore[arg-type]

    assert [sha256(password.encode()).hexdigest()] == json.loads(record)["password_hashes"]
    assert password.encode() not in record


def test_creating_loads_the_functions(tenants: Tenants, redis: Redis) -> None:
    """A fresh server serves its first tenant without a scheduler."""
    redis.function_flush()

    tenants.create("acme")

    assert functions.version().encode() == redis.fcall("taglane_version", 0)


def test_creating_wakes_the_schedulers(tenants: Tenants, redis: Redis) -> None:
    """A scheduler learns of a new tenant at once, not at its next sweep."""
    with redis.pubsub(ignore_subscribe_messages=True) as listener:  # type: ignore[no-untyped-call]
        listener.psubscribe(keys.WAKE_ALL)
        listener.get_message(timeout=5)

        tenants.create("acme")

        message = eventually(lambda: listener.get_message(timeout=0.1))
    assert (keys.wake("acme").encode(), b"0") == (message["channel"], message["data"])


def test_creating_ends_the_connections_of_a_tenant_that_was_called_the_same(tenants: Tenants, redis: Redis) -> None:
    """The server was emptied of tenants, not of connections: whoever has the old password is out, and finds out."""
    old = tenants.create("acme")
    with connect(old.url) as client:
        assert client.ping()
        redis.hdel(keys.TENANTS, "acme")

        new = tenants.create("acme")

        with pytest.raises(exceptions.AuthenticationError):
            eventually(lambda: not client.ping())
    assert (False, True) == (can_log_in(old.url), can_log_in(new.url))


def test_a_name_is_taken_once(tenants: Tenants, url: str) -> None:
    """Of many who create the same tenant at once one does, and its password is the one that opens."""
    made = []

    def create(_: int) -> None:
        try:
            made.append(Tenants(Server(url)).create("acme"))
        except TenantExists:
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(8)))

    assert 1 == len(made)
    assert can_log_in(made[0].url)
    with pytest.raises(TenantExists, match="taglane tenant show acme"):
        tenants.create("acme")


@pytest.mark.parametrize("name", ["Acme", "", "a.b", "shared", "default", "a b", "a*", "{acme}", "x" * 64])
def test_a_bad_name_leaves_nothing_behind(tenants: Tenants, redis: Redis, name: str) -> None:
    """What can't be a name makes neither record nor user."""
    with pytest.raises(BadName):
        tenants.create(name)

    assert {} == redis.hgetall(keys.TENANTS)
    assert ["default"] == redis.acl_users()


def test_a_server_that_refuses_the_user_keeps_no_record(tenants: Tenants, url: str, redis: Redis) -> None:
    """An operator's credential that may write but not make users leaves no half a tenant."""
    redis.acl_setuser(
        "clerk", enabled=True, passwords="+word", keys="*", channels="*", categories=["+@all"], commands=["-acl"]
    )
    clerk = Tenants(Server(url_for(url, "clerk", "word")))

    with pytest.raises(Refused):
        clerk.create("acme")

    assert [] == tenants.list()


def test_what_is_missing_is_named_with_its_neighbour(tenants: Tenants) -> None:
    """A slip of the finger is answered with the name that was meant."""
    tenants.create("acme")

    with pytest.raises(TenantNotFound, match="did you mean 'acme'"):
        tenants.get("acmee")
    with pytest.raises(TenantNotFound, match="taglane tenant create other"):
        tenants.require(["acme", "other"])


def test_tenants_are_listed_by_name(tenants: Tenants) -> None:
    """The list is the record, sorted."""
    for name in ("b", "a", "c"):
        tenants.create(name)

    assert ["a", "b", "c"] == [tenant.tenant for tenant in tenants.list()]
    assert ["a", "b", "c"] == tenants.names()
    assert "taglane-a" == tenants.get("a").user


def test_a_deleted_tenant_leaves_nothing(tenants: Tenants, redis: Redis) -> None:
    """User, record and each key are gone, also those that only the operator writes; a namesake's are all there."""
    for name in ("acme", "acme1"):
        tenants.create(name)
        redis.mset({f"taglane:{{{name}}}:key:{number}": "x" for number in range(1_200)})
        redis.set(f"taglane-ro:{{{name}}}:limits", "x")

    assert 1_201 == tenants.delete("acme")

    assert ["acme1"] == tenants.names()
    assert ["default", "taglane-acme1"] == sorted(redis.acl_users())
    assert [] == redis.keys("*{acme}*")
    assert 1_201 == len(redis.keys("*{acme1}*"))
    with pytest.raises(TenantNotFound):
        tenants.delete("acme")


def test_deleting_ends_open_connections(tenants: Tenants) -> None:
    """A worker in its wait is thrown out, and can't come back."""
    made = tenants.create("acme")
    failed = threading.Event()

    def wait() -> None:
        with connect(made.url, timeout=None) as client:
            try:
                client.blpop(keys.bell("acme", "acme"), 60)
            except exceptions.ConnectionError:
                failed.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    eventually(lambda: b"blpop" in [entry["cmd"].encode() for entry in tenants._redis.client_list()])  # noqa: SLF001

    tenants.delete("acme")

    waiter.join(10)
    assert failed.is_set()
    assert not can_log_in(made.url)


def test_users_come_back_from_the_record(tenants: Tenants, redis: Redis) -> None:
    """After a restart or failover, which lose the users, the urls that were given out open again."""
    made = [tenants.create(name) for name in ("acme", "other")]
    redis.acl_deluser("taglane-acme", "taglane-other")
    assert not can_log_in(made[0].url)

    assert 2 == tenants.apply_all()

    assert all(can_log_in(tenant.url) for tenant in made)


def test_applying_the_users_interrupts_nobody(tenants: Tenants) -> None:
    """A scheduler that comes back applies them while workers wait."""
    with connect(tenants.create("acme").url) as client, client.pubsub() as listener:
        listener.subscribe(keys.done("acme", "acme.1"))
        eventually(lambda: listener.get_message(timeout=0.1))

        tenants.apply_all()

        assert 1 == tenants._redis.publish(keys.done("acme", "acme.1"), "x")  # noqa: SLF001
        assert eventually(lambda: listener.get_message(timeout=0.1))


def test_a_new_password_ends_the_old(tenants: Tenants) -> None:
    """After a rotation only the new url opens; with the old kept, both do."""
    first = tenants.create("acme")
    second = tenants.rotate("acme", keep_old=True)
    assert can_log_in(first.url)
    assert can_log_in(second.url)

    third = tenants.rotate("acme")

    assert [False, False, True] == [can_log_in(tenant.url) for tenant in (first, second, third)]


def test_a_tenant_is_no_operator(tenants: Tenants) -> None:
    """With a tenant's own credential nothing here works, and the check of names steps back."""
    own = Tenants(Server(tenants.create("acme").url))

    for call in (own.list, own.apply_all, lambda: own.create("other"), lambda: own.delete("acme")):
        with pytest.raises(Refused):
            call()
    own.require(["whoever"])


def test_a_server_that_is_gone_is_said_so() -> None:
    """No redis error reaches the caller."""
    with pytest.raises(ServerUnavailable, match=r"127\.0\.0\.1:1"):
        Tenants(Server("redis://127.0.0.1:1/0")).create("acme")


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("redis://:secret@h:1/0", "redis://u:p%2F@h:1/0"),
        ("redis://h", "redis://u:p%2F@h"),
        ("rediss://op:secret@[::1]:6379/2?ssl_cert_reqs=none", "rediss://u:p%2F@[::1]:6379/2?ssl_cert_reqs=none"),
        ("redis://h:1/0?username=op&password=secret", "redis://u:p%2F@h:1/0"),
        ("unix://op:secret@/run/valkey.sock?db=1", "unix://u:p%2F@/run/valkey.sock?db=1"),
    ],
)
def test_the_operators_secret_is_nowhere_in_a_tenants_url(operator: str, expected: str) -> None:
    """Wherever the url carried a credential, only the tenant's is left."""
    assert expected == url_for(operator, "u", "p/")
