"""The page of the tenants: a list of all, and how to make one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.errors import BadName, TenantExists

from taglane_scheduler.web.console.view import Action, Page, View

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.tenancy.tenants import Tenant
    from taglane_scheduler.web.console.view import Ask

LIMIT = 50
"""Tenants of a page."""


def show(desk: Desk, ask: Ask) -> View:
    """Return the tenants by name, a page of them, with their limits and how they stand."""
    records, more = desk.records.page(ask.query.get("name", ""), ask.query.get("after", ""), LIMIT)
    names = [each.tenant for each in records]
    data = {
        "records": records,
        "limits": desk.records.limits_of(names),
        "standings": desk.standing.some(names),
        "next": names[-1] if more else "",
    }
    return View("tenants.html", "Tenants", data)


def new(desk: Desk, ask: Ask) -> View:
    """Return the form that makes a tenant."""
    desk.principal.require_all("admin", "creating tenants")
    return _form(ask)


def create(desk: Desk, ask: Ask) -> View:
    """Make a tenant, and show its url, which is kept nowhere."""
    name = ask.form.get("name", "").strip()
    try:
        made = desk.records.create(name)
    except (BadName, TenantExists) as error:
        return _form(ask, name, str(error))
    return url_view(made, ask.say("The tenant is made."))


def _form(ask: Ask, name: str = "", wrong: str = "") -> View:
    data = {"typed": name or ask.query.get("name", ""), "wrong": wrong}
    return View("tenant_new.html", "New tenant", data, status=422 if wrong else 200, live=False)


def url_view(made: Tenant, said: str) -> View:
    """Return the page that shows a tenant's url, this once."""
    return View("tenant_url.html", "Tenant", {"made": made, "said": said}, live=False, name=made.tenant)


PAGES = [Page("/tenants", show), Page("/new-tenant", new)]

ACTIONS = [Action("/new-tenant", create)]
