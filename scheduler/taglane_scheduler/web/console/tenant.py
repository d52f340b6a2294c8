"""The page of one tenant: how it stands, its limits, what it has used, and what an operator may do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from taglane.model.duration import parse_duration

from taglane_scheduler.web.console.limit_form import as_command, fields_of, read_form
from taglane_scheduler.web.console.tenants import url_view
from taglane_scheduler.web.console.view import Action, Done, Page, View
from taglane_scheduler.web.console.workers import SHOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.limit_form import Field
    from taglane_scheduler.web.console.view import Ask

DAYS = 14
"""Days of usage that are shown."""


def show(desk: Desk, ask: Ask) -> View:
    """Return one tenant."""
    return _view(desk, ask)


def _view(desk: Desk, ask: Ask, fields: Sequence[Field] = (), wrong: dict[str, str] | None = None) -> View:
    """Return the page: with the form of limits as it was typed, and what is *wrong* with other forms by their name."""
    tenant = ask.parts["tenant"]
    limits = desk.tenants.limits(tenant)
    of_all = desk.principal.tenant is None
    workers = desk.workers.list([tenant])[:SHOWN]
    data: dict[str, Any] = {
        "tenant": tenant,
        "standing": desk.standing.of(tenant),
        "record": desk.records.get(tenant) if of_all else None,
        "fields": fields or fields_of(limits),
        "command": as_command(tenant, limits),
        "usage": desk.records.usage(tenant, DAYS),
        "measure": desk.records.measure(tenant),
        "workers": workers,
        "holding": desk.workers.holding(workers),
        "lease": desk.workers.lease,
        "wrong": wrong or {},
        "form": ask.form,
    }
    bad = bool(wrong) or any(each.wrong for each in fields)
    return View("tenant.html", "Tenant", data, status=422 if bad else 200, live=not bad, name=tenant)


def limit(desk: Desk, ask: Ask) -> Done | View:
    """Change limits; with a field that is wrong, none is changed."""
    tenant = ask.parts["tenant"]
    changes, fields = read_form(desk.tenants.limits(tenant), ask.form)
    if any(each.wrong for each in fields):
        return _view(desk, ask, fields)
    if not changes:
        return Done(ask.say("No limit was changed."), f"/tenants/{tenant}")
    desk.tenants.change_limits(tenant, changes)
    said = ", ".join(f"{name}={value}" for name, value in changes.items())
    return Done(ask.say("Limits of {tenant} changed: {changes}.", tenant=tenant, changes=said), f"/tenants/{tenant}")


def _let(state: Literal["", "paused", "draining"]) -> Callable[[Desk, Ask], Done]:
    def do(desk: Desk, ask: Ask) -> Done:
        tenant = ask.parts["tenant"]
        desk.tenants.let(tenant, state)
        said = {
            "": ask.say("Tenant {tenant} goes on.", tenant=tenant),
            "paused": ask.say("Tenant {tenant} is paused: it fires and fetches nothing.", tenant=tenant),
            "draining": ask.say("Tenant {tenant} finishes what it has, and takes no more.", tenant=tenant),
        }
        return Done(said[state], f"/tenants/{tenant}")

    return do


def purge(desk: Desk, ask: Ask) -> Done | View:
    """Cancel all that waits of a tenant, when its name was typed."""
    tenant = ask.parts["tenant"]
    if problem := _untyped(ask):
        return _view(desk, ask, wrong={"purge": problem})
    count = desk.tenants.purge(tenant)
    return Done(ask.say("Cancelled {count} runs that waited.", count=count), f"/tenants/{tenant}")


def delete(desk: Desk, ask: Ask) -> Done | View:
    """Delete a tenant with all that it has, when its name was typed."""
    tenant = ask.parts["tenant"]
    if problem := _untyped(ask):
        return _view(desk, ask, wrong={"delete": problem})
    count = desk.records.delete(tenant)
    return Done(ask.say("Deleted tenant {tenant} and its {count} keys.", tenant=tenant, count=count), "/tenants")


def rotate(desk: Desk, ask: Ask) -> View:
    """Give a tenant a new password, and show its url."""
    try:
        typed = ask.form.get("overlap", "").strip() or "1d"
        overlap = parse_duration(typed)
    except ValueError as error:
        return _view(desk, ask, wrong={"rotate": str(error)})
    made = desk.records.rotate(ask.parts["tenant"], overlap)
    return url_view(made, ask.say("The tenant has a new password; the old one opens for {time} more.", time=typed))


def cut(desk: Desk, ask: Ask) -> Done:
    """Shut a tenant out."""
    tenant = ask.parts["tenant"]
    desk.records.cut(tenant, ask.form.get("reason", "").strip())
    return Done(ask.say("Tenant {tenant} is cut off: nobody can log in as it.", tenant=tenant), f"/tenants/{tenant}")


def restore(desk: Desk, ask: Ask) -> Done:
    """Let a tenant in again."""
    tenant = ask.parts["tenant"]
    desk.records.restore(tenant)
    return Done(ask.say("Tenant {tenant} is let in again.", tenant=tenant), f"/tenants/{tenant}")


def _untyped(ask: Ask) -> str:
    """Return what is wrong with the name that was typed to confirm; empty when it is the tenant's."""
    if ask.form.get("typed", "").strip() == ask.parts["tenant"]:
        return ""
    return ask.say("Type the tenant's name, {tenant}, to go on.", tenant=ask.parts["tenant"])


PAGES = [Page("/tenants/{tenant}", show)]

ACTIONS = [
    Action("/tenants/{tenant}/limits", limit),
    Action("/tenants/{tenant}/pause", _let("paused")),
    Action("/tenants/{tenant}/drain", _let("draining")),
    Action("/tenants/{tenant}/resume", _let("")),
    Action("/tenants/{tenant}/purge", purge),
    Action("/tenants/{tenant}/rotate", rotate),
    Action("/tenants/{tenant}/cut", cut),
    Action("/tenants/{tenant}/restore", restore),
    Action("/tenants/{tenant}/delete", delete),
]
