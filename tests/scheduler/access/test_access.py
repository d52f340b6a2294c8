"""Who it is that has a cookie or a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from taglane_scheduler.access.api_keys import owner_of
from taglane_scheduler.access.errors import LinkOver, LoginRefused
from taglane_scheduler.access.principal import Principal
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from taglane_scheduler.access.access import Access
    from taglane_scheduler.services import Services

SECRET = "correct horse"


def log_in(access: Access, name: str = "ann") -> str:
    return access.log_in(name, SECRET, "10.0.0.1")[0]


def test_a_login_is_over_when_its_person_changes(access: Access) -> None:
    """Another password, another role, deleted, and added again under the same name: each ends all their logins."""
    access.people.add("ann", SECRET, "write", "acme")
    first, second = log_in(access), log_in(access)
    assert Principal("ann", "acme", "write") == access.of_cookie(first) == access.of_cookie(second)

    access.people.change_role("ann", "read")
    assert [None, None] == [access.of_cookie(first), access.of_cookie(second)]

    third = log_in(access)
    assert Principal("ann", "acme", "read") == access.of_cookie(third)
    access.people.change_password("ann", SECRET)
    assert None is access.of_cookie(third)

    fourth = log_in(access)
    access.people.delete("ann")
    access.people.add("ann", SECRET, "admin")
    assert None is access.of_cookie(fourth)
    with pytest.raises(LoginRefused):
        access.log_in("ann", "wrong horse", "10.0.0.1")


def test_who_saw_a_tenant_sees_no_other_of_its_name(services: Services, access: Access) -> None:
    """It was deleted and made again: whoever forgot to revoke the keys of the first lets nobody into the second."""
    access.people.add("ann", SECRET, "admin", "acme")
    cookie, key = log_in(access), access.api_keys.create("admin", "acme")[0]
    assert access.of_cookie(cookie)
    assert access.of_key(key)

    Tenants(services.server).delete("acme")  # which knows of no keys, as a version before
    services.tenants.create("acme")

    assert None is access.of_cookie(cookie)
    assert None is access.of_key(key)


def test_ones_own_key_may_what_one_may_now(access: Access) -> None:
    """No more than its owner, when their role falls; nothing, when they are gone or another of the name is there."""
    ann = access.people.add("ann", SECRET, "write", "acme")
    secret, made = access.api_keys.create("write", "acme", name="laptop", owner=owner_of("ann", ann.created))
    assert Principal(f"key:{made.id[:8]} laptop", "acme", "write", made.owner) == access.of_key(secret)

    access.people.change_role("ann", "read")
    found = access.of_key(secret)
    assert found is not None
    assert "read" == found.role
    access.people.delete("ann")
    assert None is access.of_key(secret)
    access.people.add("ann", SECRET, "admin", "acme")
    assert None is access.of_key(secret)


def test_one_logs_in_on_a_server_that_is_full(access: Access, redis: Any) -> None:
    """Whoever is to look at what fills it has to get in; their key's use is noted, too."""
    access.people.add("ann", SECRET, "admin")
    secret, _ = access.api_keys.create("read", None)
    redis.config_set("maxmemory", 1)
    try:
        cookie = log_in(access)
        assert access.of_cookie(cookie)
        assert access.of_key(secret)
        access.enter(access.tickets.make("enter").partition("token=")[2])
        access.sessions.end(cookie)
    finally:
        redis.config_set("maxmemory", 0)
    assert None is access.of_cookie(cookie)


def test_a_link_enters_once_as_nobodys_name(access: Access) -> None:
    """Who came by it administers all, and is called as no person can be."""
    token = access.tickets.make("enter").partition("token=")[2]

    found = access.of_cookie(access.enter(token))

    assert found is not None
    assert (None, "admin") == (found.tenant, found.role)
    assert found.name.startswith("link:")
    with pytest.raises(LinkOver):
        access.enter(token)


@pytest.mark.one_server("each node has its own maxmemory")
def test_a_full_server_lets_people_in(services: Services, access: Access) -> None:
    """Whoever is to find out who fills it has to log in first."""
    access.people.add("ann", "correct horse", "admin")
    redis = services.server.redis
    redis.config_set("maxmemory", "1mb")
    try:
        token, _ = access.log_in("ann", "correct horse", "10.0.0.1")
        made, _ = access.log_in("ann", "correct horse", "10.0.0.1")
    finally:
        redis.config_set("maxmemory", "0")

    assert access.of_cookie(token)
    assert access.of_cookie(made)
