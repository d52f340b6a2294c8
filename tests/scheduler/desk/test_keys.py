"""The desk's API keys."""

from __future__ import annotations

import pytest
from desks import desk_of, services_at
from taglane.errors import RoleNeeded
from taglane_scheduler.access.errors import ApiKeyNotFound, NoPerson
from taglane_scheduler.access.principal import Principal
from taglane_scheduler.desk.desk import Desk


def test_a_tenants_administrator_makes_keys_of_that_tenant_alone(url: str) -> None:
    """Without a word of whose, they are that tenant's; those of others are as none."""
    with services_at(url, "acme", "globex") as services:
        theirs = services.access.api_keys.create("read", "globex")[1]
        every = services.access.api_keys.create("read", None)[1]
        desk = desk_of(services, "acme").keys

        _, made = desk.create("admin", name="ci")
        assert ("acme", "ann") == (made.tenant, made.by)
        assert [made.id] == [key.id for key in desk.list()] == [key.id for key in desk.list(after="globex|")]
        for key in (theirs, every):
            with pytest.raises(ApiKeyNotFound):
                desk.revoke(key.id)
        desk.revoke(made.id)
        assert {theirs.id, every.id} == {key.id for key in desk_of(services).keys.list()}
        for role in ("read", "write"):
            with pytest.raises(RoleNeeded):
                desk_of(services, "acme", role).keys.create("read")


def test_everybody_has_keys_of_ones_own(url: str) -> None:
    """With no more than one may; nobody else's, but an administrator's, to revoke. Who is no person has none."""
    with services_at(url, "acme") as services:
        services.access.people.add("ann", "correct horse", "operate", "acme")
        services.access.people.add("bob", "correct horse", "operate", "acme")
        desk = desk_of(services, "acme", "operate").keys
        bobs = Desk(services, Principal("bob", "acme", "operate")).keys

        secret, made = desk.create_own("operate", name="laptop")
        assert [made.id] == [key.id for key in desk.own()]
        assert services.access.of_key(secret)
        with pytest.raises(RoleNeeded):
            desk.create_own("write")
        with pytest.raises(ApiKeyNotFound):
            bobs.revoke(made.id)
        desk.revoke(made.id)
        assert None is services.access.of_key(secret)
        with pytest.raises(NoPerson):
            Desk(services, Principal("key:1", "acme", "admin")).keys.create_own("read")


def test_a_key_that_ones_own_key_makes_ends_with_oneself(url: str) -> None:
    """Or who is gone could come in by it for ever."""
    with services_at(url, "acme") as services:
        services.access.people.add("ann", "correct horse", "admin", "acme")
        own, _ = desk_of(services, "acme").keys.create_own("admin")
        by_key = services.access.of_key(own)
        assert by_key is not None
        secret, _ = Desk(services, by_key).keys.create("read")
        assert services.access.of_key(secret)

        services.access.people.delete("ann")

        assert None is services.access.of_key(secret)
