"""The API's API keys and people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from taglane_scheduler.access.api_keys import place
from taglane_scheduler.web.api.route import ApiRoute
from taglane_scheduler.web.api.shapes import Instant, Name, Page, TenantPageAsked, Wanted, instant, read_duration

if TYPE_CHECKING:
    from taglane_scheduler.access.api_keys import ApiKey
    from taglane_scheduler.access.people import Person
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.api.route import Call


class KeyRow(TypedDict):
    """An API key, without what opens; *used* is when it last was, to the minute."""

    id: str
    name: str
    scope: str
    tenant: str | None
    by: str
    created: Instant | None
    expires: Instant | None
    used: Instant | None


class KeyMade(KeyRow):
    """An API key just made: *key* is what opens, and is told this once."""

    key: str


class PersonRow(TypedDict):
    """Somebody who may log in."""

    name: str
    role: str
    tenant: str | None
    created: Instant | None


class People(TypedDict):
    """Who may log in."""

    items: list[PersonRow]


class KeyNew(Wanted):
    """A key to be made; without *tenant*, for all that its maker sees. *expires* is a duration, as in 90d."""

    scope: Name = "read"
    tenant: Name | None = None
    name: Annotated[str, Field(max_length=64)] = ""
    expires: Name | None = None


class PersonNew(Wanted):
    """Somebody to be let in; without *tenant*, to all tenants."""

    name: Name
    password: Annotated[str, Field(max_length=1_000)]
    role: Name
    tenant: Name | None = None


class PersonChanges(Wanted):
    """What changes of somebody; their logins end."""

    role: Name | None = None
    password: Annotated[str, Field(max_length=1_000)] | None = None


def keys(desk: Desk, call: Call) -> Page[KeyRow]:
    """Return the keys that who asks administers."""
    asked: TenantPageAsked = call.query
    found = desk.keys.list(asked.tenant or None, after=asked.after, limit=asked.limit)
    more = place(found[-1]) if len(found) == asked.limit else None
    return {"items": [_key(each) for each in found], "next": more}


def create_key(desk: Desk, call: Call) -> KeyMade:
    """Make a key."""
    body: KeyNew = call.body
    lasts = read_duration("expires", body.expires)
    secret, made = desk.keys.create(body.scope, body.tenant, name=body.name, lasts=lasts)
    return {**_key(made), "key": secret}


def revoke_key(desk: Desk, call: Call) -> None:
    """Let a key open nothing any more."""
    desk.keys.revoke(call.parts["key_id"])


def people(desk: Desk, call: Call) -> People:
    """Return who may log in."""
    del call
    return {"items": [_person(each) for each in desk.people.list()]}


def add(desk: Desk, call: Call) -> PersonRow:
    """Let somebody log in."""
    body: PersonNew = call.body
    return _person(desk.people.add(body.name, body.password, body.role, body.tenant))


def show(desk: Desk, call: Call) -> PersonRow:
    """Return somebody who may log in."""
    return _person(desk.people.get(call.parts["name"]))


def change(desk: Desk, call: Call) -> PersonRow:
    """Change somebody's role or password."""
    name, body = call.parts["name"], call.body
    if body.role is not None:
        desk.people.change_role(name, body.role)
    if body.password is not None:
        desk.people.change_password(name, body.password)
    return _person(desk.people.get(name))


def delete(desk: Desk, call: Call) -> None:
    """Let somebody in no more."""
    desk.people.delete(call.parts["name"])


def _key(key: ApiKey) -> KeyRow:
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.role,
        "tenant": key.tenant,
        "by": key.by,
        "created": instant(key.created),
        "expires": instant(key.expires),
        "used": instant(key.used),
    }


def _person(person: Person) -> PersonRow:
    return {"name": person.name, "role": person.role, "tenant": person.tenant, "created": instant(person.created)}


def _routes() -> list[ApiRoute]:
    admin: dict[str, Any] = {"role": "admin", "group": "keys"}
    all_admin: dict[str, Any] = {"role": "admin", "for_all": True, "group": "people"}
    one = "/people/{name}"
    return [
        ApiRoute("GET", "/keys", keys, "List API keys", returns=Page[KeyRow], query=TenantPageAsked, **admin),
        ApiRoute("POST", "/keys", create_key, "Make an API key", returns=KeyMade, body=KeyNew, status=201, **admin),
        ApiRoute("DELETE", "/keys/{key_id}", revoke_key, "Revoke an API key", "read", status=204, group="keys"),
        ApiRoute("GET", "/people", people, "List who may log in", returns=People, **all_admin),
        ApiRoute(
            "POST", "/people", add, "Let somebody log in", returns=PersonRow, body=PersonNew, status=201, **all_admin
        ),
        ApiRoute("GET", one, show, "Show somebody who may log in", returns=PersonRow, **all_admin),
        ApiRoute(
            "PATCH", one, change, "Change a role or a password", returns=PersonRow, body=PersonChanges, **all_admin
        ),
        ApiRoute("DELETE", one, delete, "Let somebody in no more", status=204, **all_admin),
    ]


ROUTES = _routes()
