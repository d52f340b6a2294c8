"""The API's tenants: list, create, show, limit, pause, drain, purge, rotate, cut off, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from taglane.model.limits import FIELDS, spelled
from typing_extensions import TypedDict

from taglane_scheduler.tenancy.tenants import OVERLAP
from taglane_scheduler.web.api.route import ApiRoute
from taglane_scheduler.web.api.shapes import (
    Count,
    Cursor,
    Empty,
    Instant,
    Limit,
    Name,
    Page,
    PageAsked,
    Wanted,
    instant,
    read_duration,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.store.limits import State

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.tenancy.tenants import Tenant, TenantInfo
    from taglane_scheduler.web.api.route import Call


class TenantRow(TypedDict):
    """A tenant as a list has it."""

    tenant: str
    tag: str
    state: str
    created: Instant | None


class TagFigures(TypedDict):
    """What waits for one tag of a tenant; *oldest_ms* is for how long the first has waited."""

    tag: str
    queued: int
    delayed: int
    parked: int
    running: int
    workers: int
    slots: int
    oldest_ms: int | None


class TenantShown(TypedDict):
    """How a tenant stands. *state* is active, paused or draining; *succeeded* and *failed* are of the last hour."""

    tenant: str
    state: str
    readable: bool
    at_limit: bool
    queued: int
    delayed: int
    running: int
    workers: int
    stalled: int
    jobs: int
    dead: int
    succeeded: int
    failed: int
    oldest_ms: int | None
    tags: list[TagFigures]


class LimitsShown(TypedDict):
    """A tenant's limits as a user writes them; what is not there is not limited."""

    tenant: str
    limits: dict[str, int | float | str]


class Credential(TypedDict):
    """What a tenant's workers connect with: *url* holds its password, and is told this once."""

    tenant: str
    tag: str
    url: str
    fenced: bool


class StateShown(TypedDict):
    """Whether a tenant is active, paused or draining."""

    tenant: str
    state: str


class Changed(TypedDict):
    """Whether anything was changed: it may have been so before."""

    changed: bool


class TenantsAsked(PageAsked):
    """Which tenants: *name* is a part of their names."""

    name: Name = ""
    after: Cursor = ""
    limit: Limit = 50


class TenantNew(Wanted):
    """A tenant to be made."""

    tenant: Name


class Rotation(Wanted):
    """For how long the old password opens beside the new one, as in 1d; 0s ends it at once."""

    overlap: Name | None = None


class Reason(Wanted):
    """Why."""

    reason: Annotated[str, Field(max_length=500)] = "by the operator"


class LimitChanges(Wanted):
    """Limits to change: numbers, texts like 10/s or 64MiB, null or none for no limit. What is left out stays."""

    running: int | float | str | None = None
    rate: int | float | str | None = None
    burst: int | float | str | None = None
    queued: int | float | str | None = None
    fires: int | float | str | None = None
    payload: int | float | str | None = None
    weight: int | float | str | None = None
    guaranteed: int | float | str | None = None
    borrow: int | float | str | None = None
    connections: int | float | str | None = None
    bandwidth: int | float | str | None = None
    memory: int | float | str | None = None
    overuse: str | None = None


def list_(desk: Desk, call: Call) -> Page[TenantRow]:
    """Return tenants by name; who sees one has a list of one."""
    asked: TenantsAsked = call.query
    own = desk.principal.tenant
    if own is not None:
        shown = [_row(desk.services.tenants.get(own))] if asked.name in own and own > asked.after else []
        return {"items": _stated(desk, shown), "next": None}
    found, more = desk.records.page(asked.name, asked.after, asked.limit)
    rows = _stated(desk, [_row(each) for each in found])
    return {"items": rows, "next": rows[-1]["tenant"] if more and rows else None}


def create(desk: Desk, call: Call) -> Credential:
    """Make a tenant."""
    return _credential(desk.records.create(call.body.tenant))


def show(desk: Desk, call: Call) -> TenantShown:
    """Return how a tenant stands now."""
    found = desk.standing.of(call.parts["tenant"])
    tags: list[TagFigures] = [
        {
            "tag": each.tag,
            "queued": each.queued,
            "delayed": each.delayed,
            "parked": each.parked,
            "running": each.running,
            "workers": each.workers,
            "slots": each.slots,
            "oldest_ms": each.oldest,
        }
        for each in found.tags
    ]
    return {
        "tenant": found.tenant,
        "state": found.state or "active",
        "readable": found.readable,
        "at_limit": found.at_limit,
        "queued": found.queued,
        "delayed": found.delayed,
        "running": found.running,
        "workers": found.workers,
        "stalled": found.stalled,
        "jobs": found.jobs,
        "dead": found.dead,
        "succeeded": found.succeeded,
        "failed": found.failed,
        "oldest_ms": found.oldest,
        "tags": tags,
    }


def limits(desk: Desk, call: Call) -> LimitsShown:
    """Return a tenant's limits."""
    tenant = call.parts["tenant"]
    return {"tenant": tenant, "limits": spelled(desk.tenants.limits(tenant))}


def change_limits(desk: Desk, call: Call) -> LimitsShown:
    """Change some of a tenant's limits."""
    tenant, body = call.parts["tenant"], call.body
    changes = {name: getattr(body, name) for name in FIELDS if name in body.model_fields_set}
    return {"tenant": tenant, "limits": spelled(desk.tenants.change_limits(tenant, changes))}


def let(state: State) -> Callable[[Desk, Call], StateShown]:
    """Return what pauses, drains or resumes a tenant."""

    def do(desk: Desk, call: Call) -> StateShown:
        tenant = call.parts["tenant"]
        desk.tenants.let(tenant, state)
        return {"tenant": tenant, "state": state or "active"}

    return do


def purge(desk: Desk, call: Call) -> Count:
    """Cancel all that waits of a tenant."""
    return {"count": desk.tenants.purge(call.parts["tenant"])}


def rotate(desk: Desk, call: Call) -> Credential:
    """Give a tenant a new password."""
    text = call.body.overlap
    overlap = 0 if text == "0s" else read_duration("overlap", text)
    return _credential(desk.records.rotate(call.parts["tenant"], OVERLAP if overlap is None else overlap))


def cut(desk: Desk, call: Call) -> Changed:
    """Shut a tenant out."""
    return {"changed": desk.records.cut(call.parts["tenant"], call.body.reason)}


def restore(desk: Desk, call: Call) -> Changed:
    """Let a tenant in again."""
    return {"changed": desk.records.restore(call.parts["tenant"])}


def delete(desk: Desk, call: Call) -> Count:
    """Delete a tenant with all that it has."""
    return {"count": desk.records.delete(call.parts["tenant"])}


def _stated(desk: Desk, rows: list[TenantRow]) -> list[TenantRow]:
    states = desk.services.stores.limits.states([row["tenant"] for row in rows])
    return [{**row, "state": states[row["tenant"]] or "active"} for row in rows]


def _row(found: TenantInfo) -> TenantRow:
    return {"tenant": found.tenant, "tag": found.tag, "state": "active", "created": instant(found.created)}


def _credential(made: Tenant) -> Credential:
    return {"tenant": made.tenant, "tag": made.tag, "url": made.url, "fenced": made.fenced}


def _routes() -> list[ApiRoute]:
    one, group = "/tenants/{tenant}", "tenants"
    all_admin: dict[str, Any] = {"role": "admin", "for_all": True, "group": group}
    operate: dict[str, Any] = {"role": "operate", "group": group, "body": Empty}
    read: dict[str, Any] = {"role": "read", "group": group}
    return [
        ApiRoute("GET", "/tenants", list_, "List tenants", returns=Page[TenantRow], query=TenantsAsked, **read),
        ApiRoute(
            "POST", "/tenants", create, "Create a tenant", returns=Credential, body=TenantNew, status=201, **all_admin
        ),
        ApiRoute("GET", one, show, "Show how a tenant stands", returns=TenantShown, **read),
        ApiRoute("DELETE", one, delete, "Delete a tenant and all that it has", returns=Count, **all_admin),
        ApiRoute("GET", f"{one}/limits", limits, "Show a tenant's limits", returns=LimitsShown, **read),
        ApiRoute(
            *("PATCH", f"{one}/limits", change_limits, "Change a tenant's limits"),
            returns=LimitsShown,
            body=LimitChanges,
            **all_admin,
        ),
        ApiRoute("POST", f"{one}/pause", let("paused"), "Pause a tenant", returns=StateShown, **operate),
        ApiRoute("POST", f"{one}/drain", let("draining"), "Drain a tenant", returns=StateShown, **operate),
        ApiRoute("POST", f"{one}/resume", let(""), "Resume a tenant", returns=StateShown, **operate),
        ApiRoute("POST", f"{one}/purge", purge, "Cancel all that waits of a tenant", returns=Count, **operate),
        ApiRoute(
            "POST",
            f"{one}/rotate",
            rotate,
            "Give a tenant a new password",
            returns=Credential,
            body=Rotation,
            **all_admin,
        ),
        ApiRoute("POST", f"{one}/cut", cut, "Cut a tenant off", returns=Changed, body=Reason, **all_admin),
        ApiRoute("POST", f"{one}/restore", restore, "Let a tenant in again", returns=Changed, body=Empty, **all_admin),
    ]


ROUTES = _routes()
