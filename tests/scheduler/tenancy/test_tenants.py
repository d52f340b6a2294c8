"""Tenants: the record, the users made from it, and what is left after one is deleted."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from cluster import everywhere
from eventually import eventually
from factories import server_time
from redis import exceptions
from taglane.errors import BadName, NotFenced, Refused, ServerUnavailable, TenantExists, TenantNotFound
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
    assert urlsplit(url).netloc.rpartition("@")[2] == urlsplit(made.url).netloc.rpartition("@")[2]
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


@pytest.fixture
def clerk(url: str, redis: Redis) -> Tenants:
    """With an operator's credential that may do everything but make users, as on some managed servers."""
    redis.acl_setuser(
        "clerk", enabled=True, passwords="+word", keys="*", channels="*", categories=["+@all"], commands=["-acl"]
    )
    return Tenants(Server(url_for(url, "clerk", "word")))


def test_where_nobody_makes_users_a_tenant_has_the_operators_url(clerk: Tenants, redis: Redis) -> None:
    """It works, is recorded, and says that nothing fences it."""
    made = clerk.create("acme")

    assert not made.fenced
    assert "clerk" == urlsplit(made.url).username
    assert can_log_in(made.url)
    assert ["acme"] == clerk.names()
    assert {"default", "clerk"} == set(redis.acl_users())
    assert 1 == len(clerk.get("acme").passwords)


def test_where_nobody_makes_users_the_schedulers_hooks_go_on(clerk: Tenants, caplog: pytest.LogCaptureFixture) -> None:
    """And say so at each connect; comparing users, and a new password, are refused with what would mend it."""
    clerk.create("acme")

    assert 1 == clerk.apply_all()
    clerk.sweep()

    assert "isolation_by_convention" in caplog.text
    assert not clerk.fenced()
    for call in (clerk.users_amiss, lambda: clerk.rotate("acme")):
        with pytest.raises(NotFenced, match="ACL SETUSER"):
            call()
    assert 0 == clerk.delete("acme")
    assert [] == clerk.names()


def test_once_users_can_be_made_they_are(clerk: Tenants, tenants: Tenants) -> None:
    """The tenants of before get one each, which opens after a rotation."""
    clerk.create("acme")

    assert 1 == tenants.apply_all()

    assert [] == tenants.users_amiss()
    assert can_log_in(tenants.rotate("acme", overlap=0).url)


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


def test_some_tenants_are_read_at_once(tenants: Tenants) -> None:
    """In the order in which they were asked for, without those that there are not."""
    for name in ("acme", "globex"):
        tenants.create(name)

    assert ["globex", "acme"] == [each.tenant for each in tenants.some(["globex", "nobody1", "acme"])]
    assert [] == [*tenants.some([])]


def test_a_deleted_tenant_leaves_nothing(tenants: Tenants, redis: Redis) -> None:
    """User, record and each key are gone, also those that only the operator writes; a namesake's are all there."""
    for name in ("acme", "acme1"):
        tenants.create(name)
        redis.mset({f"taglane:{{{name}}}:key:{number}": "x" for number in range(1_200)})
        redis.set(f"taglane-ro:{{{name}}}:limits", "x")
        redis.sadd(keys.POOLS, "small")
        redis.zadd(keys.pool_active("small"), {name: 1})
        redis.hset(keys.pool_terms("small"), name, "2 0 -")
        redis.hset(keys.ALERT_CHANNELS, f"{name}/ops", "{}")

    assert 1_201 == tenants.delete("acme")

    assert ["acme1"] == tenants.names()
    assert ["default", "taglane-acme1"] == sorted(redis.acl_users())
    assert [] == redis.keys("*{acme}*")
    assert ([b"acme1"], [b"acme1"]) == (
        redis.zrange(keys.pool_active("small"), 0, -1),
        redis.hkeys(keys.pool_terms("small")),
    )
    assert 1_201 == len(redis.keys("*{acme1}*"))
    assert [b"acme1/ops"] == redis.hkeys(keys.ALERT_CHANNELS)
    with pytest.raises(TenantNotFound):
        tenants.delete("acme")


def test_a_pattern_reaches_no_namesake(tenants: Tenants, redis: Redis) -> None:
    """Only what begins with the tenant's prefix is its own, whatever else has that in it."""
    tenants.create("acme")
    strange = ["taglane:{other}:run:taglane:{acme}:x", "x:{acme}:y", "taglane:{acme}", "taglane:x:{acme}:y"]
    for key in strange:
        redis.set(key, "x")

    assert 0 == tenants.delete("acme")

    assert len(strange) == sum(redis.exists(key) for key in strange)


def test_a_deleted_tenant_may_be_made_again_at_once(tenants: Tenants, redis: Redis) -> None:
    """With a password of its own, and nothing of what was."""
    first = tenants.create("acme")
    redis.set("taglane:{acme}:key:k", "x")
    tenants.delete("acme")

    second = tenants.create("acme")

    assert [False, True] == [can_log_in(tenant.url) for tenant in (first, second)]
    assert [] == redis.keys("*{acme}*")


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
    eventually(lambda: b"blpop" in [entry["cmd"].encode() for entry in everywhere(tenants._redis).client_list()])  # noqa: SLF001

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


@pytest.mark.one_server("PUBLISH counts those who listen to one node")
def test_applying_the_users_interrupts_nobody(tenants: Tenants) -> None:
    """A scheduler that comes back applies them while workers wait."""
    with connect(tenants.create("acme").url) as client, client.pubsub() as listener:
        listener.ssubscribe(keys.done("acme", "acme.1"))
        eventually(lambda: listener.get_message(timeout=0.1))

        tenants.apply_all()

        assert 1 == tenants._redis.spublish(keys.done("acme", "acme.1"), "x")  # noqa: SLF001
        assert eventually(lambda: listener.get_message(timeout=0.1))


def test_a_new_password_ends_the_old_at_once_when_it_is_told_to(tenants: Tenants) -> None:
    """Without an overlap only the new url opens, and connections of the old one end."""
    first = tenants.create("acme")
    with connect(first.url) as client:
        assert client.ping()

        second = tenants.rotate("acme", overlap=0)

        with pytest.raises(exceptions.AuthenticationError):
            eventually(lambda: not client.ping())
    assert [False, True] == [can_log_in(tenant.url) for tenant in (first, second)]


def test_two_passwords_open_until_the_overlap_is_over(tenants: Tenants, url: str, redis: Redis) -> None:
    """Both during it; then any scheduler's sweep, also one that was started meanwhile, ends the old one and all
    connections that it opened."""
    first = tenants.create("acme")
    before = server_time(redis)
    second = tenants.rotate("acme", overlap=400)
    assert [True, True] == [can_log_in(tenant.url) for tenant in (first, second)]
    old, new = tenants.get("acme").passwords
    assert before + 400 <= (old.until or 0) <= before + 2_400
    assert new.until is None

    with connect(first.url) as client:
        client.ping()
        eventually(lambda: server_time(redis) > (old.until or 0))
        Tenants(Server(url)).sweep()
        with pytest.raises(exceptions.AuthenticationError):
            eventually(lambda: not client.ping())

    assert [False, True] == [can_log_in(tenant.url) for tenant in (first, second)]
    assert [new.id] == [password.id for password in tenants.get("acme").passwords]
    assert ["create", "rotate", "password-ended"] == [entry.action for entry in tenants.audit.list("acme")]
    assert [] == tenants.users_amiss()


def test_an_overlap_that_is_over_does_not_outlive_a_restart(tenants: Tenants, redis: Redis) -> None:
    """A scheduler that connects ends it before it applies the users."""
    first = tenants.create("acme")
    tenants.rotate("acme", overlap=1)
    eventually(lambda: server_time(redis) > (tenants.get("acme").passwords[0].until or 0))
    redis.acl_deluser("taglane-acme")

    tenants.apply_all()

    assert not can_log_in(first.url)


@pytest.mark.one_server("each node numbers its connections")
def test_a_sweep_disturbs_nobody_whose_passwords_hold(tenants: Tenants, redis: Redis) -> None:
    """A rotation of one is nothing to another, nor to itself before its time."""
    urls = [tenants.create(name).url for name in ("acme", "other")]
    tenants.rotate("acme")
    clients = [connect(url) for url in urls]
    assert all(client.ping() for client in clients)
    before = {each["id"] for each in redis.client_list()}

    tenants.sweep()

    assert before <= {each["id"] for each in redis.client_list()}
    for client in clients:
        client.close()


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
