"""API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from taglane.store import keys
from taglane_scheduler.access import api_keys
from taglane_scheduler.access.api_keys import place
from taglane_scheduler.access.errors import ApiKeyNotFound, TooManyKeys

if TYPE_CHECKING:
    from taglane_scheduler.access.access import Access
    from taglane_scheduler.services import Services


def test_a_key_opens_until_it_is_revoked(access: Access, redis: Any) -> None:
    """Its hash alone is kept, and its use is noted."""
    secret, made = access.api_keys.create("operate", "acme", name="ci", by="ann")

    found = access.api_keys.find(secret)
    stored = redis.hget(keys.API_KEYS, made.id)

    assert found is not None
    assert ("operate", "acme", "ci", "ann", None) == (found.role, found.tenant, found.name, found.by, found.expires)
    assert secret.startswith("tl_")
    assert 46 == len(secret)
    assert secret.encode() not in stored
    assert access.api_keys.get(made.id).used is not None
    access.api_keys.revoke(made.id)
    assert None is access.api_keys.find(secret)
    with pytest.raises(ApiKeyNotFound):
        access.api_keys.revoke(made.id)


def test_a_key_ends_when_it_expires(access: Access) -> None:
    """By the server's clock."""
    secret, made = access.api_keys.create("read", None, lasts=1)

    assert made.expires is not None
    eventually(lambda: access.api_keys.find(secret) is None)


def test_what_begins_alike_opens_nothing(access: Access) -> None:
    """The whole hash is compared, and not only what the key is found by."""
    secret, _ = access.api_keys.create("read", None)

    for wrong in ("", "tl_", secret[:-1], secret + "A", secret.lower()):
        assert None is access.api_keys.find(wrong)


def test_lists_are_a_tenants_or_all_by_page(services: Services, access: Access) -> None:
    """A tenant's are one range: the names of others that begin alike are not in it."""
    for tenant in ("acme1", "acm", "acme-1"):
        services.tenants.create(tenant)
        access.api_keys.create("read", tenant)
    own = {access.api_keys.create("read", "acme")[1].id for _ in range(2)}
    every = {access.api_keys.create("read", None)[1].id}

    first = access.api_keys.list(every=True, limit=3)
    rest = access.api_keys.list(every=True, after=place(first[-1]))

    assert own == {key.id for key in access.api_keys.list("acme")}
    assert every == {key.id for key in access.api_keys.list(None)}
    assert (3, 3) == (len(first), len(rest))
    assert 6 == len({key.id for key in (*first, *rest)})


def test_a_tenant_has_so_many_at_most(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    """And when it is deleted it has none."""
    monkeypatch.setattr(api_keys, "MOST", 2)
    for _ in range(2):
        access.api_keys.create("read", "acme")

    with pytest.raises(TooManyKeys, match="'acme' has 2 API keys"):
        access.api_keys.create("read", "acme")
    access.forget_tenant("acme")
    assert [] == access.api_keys.list(every=True)
