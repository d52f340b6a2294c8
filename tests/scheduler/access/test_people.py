"""Who may log in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from taglane.errors import BadName
from taglane.store import keys
from taglane_scheduler.access.errors import BadRole, LoginRefused, PersonExists, PersonNotFound

if TYPE_CHECKING:
    from taglane_scheduler.access.access import Access
    from taglane_scheduler.services import Services


def test_somebody_is_added_once_and_checked_by_the_password(access: Access, redis: Any) -> None:
    """Names are of small letters, whatever is typed; the password is nowhere."""
    made = access.people.add("Ann@Example.com", "correct horse", "operate", "acme")

    assert ("ann@example.com", "operate", "acme") == (made.name, made.role, made.tenant)
    assert made == access.people.checked(" ANN@example.com", "correct horse")
    assert b"horse" not in redis.hget(keys.PEOPLE, made.name)
    with pytest.raises(PersonExists):
        access.people.add("ann@example.com", "another one", "admin")
    for name, password in (("ann@example.com", "correct horsf"), ("bob", "correct horse")):
        with pytest.raises(LoginRefused, match="name or password is wrong"):
            access.people.checked(name, password)


def test_what_cant_be_is_refused(access: Access) -> None:
    """A name with other letters, a role that there is not, somebody who is not there."""
    with pytest.raises(BadName):
        access.people.add("key:1", "correct horse", "read")
    with pytest.raises(BadRole, match="one of read, operate, write, admin"):
        access.people.add("ann", "correct horse", "root")
    with pytest.raises(PersonNotFound):
        access.people.change_role("ann", "read")
    with pytest.raises(PersonNotFound):
        access.people.delete("ann")


def test_a_spoiled_record_is_nobody(access: Access, redis: Any) -> None:
    """It hides no other, and lets nobody in."""
    access.people.add("ann", "correct horse", "read")
    redis.hset(keys.PEOPLE, mapping={"bob": "{", "eve": '{"role": "root"}'})

    assert ["ann"] == [person.name for person in access.people.list()]
    with pytest.raises(LoginRefused):
        access.people.checked("bob", "")


def test_they_go_with_their_tenant(services: Services, access: Access) -> None:
    """Those who saw it alone; who sees all stays."""
    access.people.add("ann", "correct horse", "admin")
    access.people.add("bob", "correct horse", "admin", "acme")

    services.tenants.delete("acme")

    assert ["ann"] == [person.name for person in access.people.list()]
