"""The desk's people."""

from __future__ import annotations

import pytest
from desks import desk_of, services_at
from taglane.errors import RoleNeeded, TenantNotFound
from taglane_scheduler.access.errors import BadPassword, NoPerson, OwnAccount
from taglane_scheduler.access.principal import Principal
from taglane_scheduler.desk.desk import Desk

SECRET = "correct horse"


def test_people_are_made_by_who_administers_all(url: str) -> None:
    """Not by a tenant's administrator: a name that is taken would tell of others. All is noted, but no password."""
    with services_at(url, "acme") as services:
        desk = desk_of(services).people
        made = desk.add("bob", SECRET, "read", "acme")
        desk.change_role("bob", "write")
        desk.change_password("bob", SECRET + "2")

        assert ["bob"] == [person.name for person in desk.list()]
        assert made.epoch != desk.get("bob").epoch
        desk.delete("bob")
        assert [] == desk.list()
        log = services.audit.list()
        assert {"user-add", "user-role", "user-password", "user-delete"} <= {entry.action for entry in log}
        assert SECRET not in repr(log)
        with pytest.raises(TenantNotFound):
            desk.add("bob", SECRET, "read", "nobody1")
        for other in (desk_of(services, "acme"), desk_of(services, None, "write")):
            with pytest.raises(RoleNeeded):
                other.people.list()


def test_one_takes_nothing_from_oneself_but_changes_ones_password(url: str) -> None:
    """Who is the last that administers could not get it back; the old password is asked for."""
    with services_at(url, "acme") as services:
        services.access.people.add("ann", SECRET, "admin")
        desk = desk_of(services).people

        for take in (lambda: desk.delete("ann"), lambda: desk.change_role("ann", "read")):
            with pytest.raises(OwnAccount):
                take()
        with pytest.raises(BadPassword, match="the old one is wrong"):
            desk.change_own_password("wrong horse", "another horse")
        desk.change_own_password(SECRET, "another horse")
        assert services.access.people.checked("ann", "another horse")
        with pytest.raises(NoPerson):
            Desk(services, Principal("link:1", None, "admin")).people.change_own_password(SECRET, SECRET)
