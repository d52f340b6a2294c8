"""The page of the overview: what needs attention first, then how all tenants stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from taglane_scheduler.care.board import Sort
from taglane_scheduler.desk.standing import SHOWN
from taglane_scheduler.web.console.attention import told
from taglane_scheduler.web.console.places import start_of
from taglane_scheduler.web.console.view import Page, View

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask

LIMIT = 50
"""Tenants of a page."""

SORTS: tuple[Sort, ...] = get_args(Sort)


def show(desk: Desk, ask: Ask) -> View:
    """Return what needs attention, the totals, and a line for each tenant, or for each tag of the only one."""
    found = desk.standing.attention()
    data = {
        "attention": [told(each, ask) for each in found[:SHOWN]],
        "more_attention": len(found) > SHOWN,
        "totals": desk.standing.totals(),
        "server_now": desk.standing.now(),
    }
    if desk.principal.tenant is not None:
        return View("overview_tenant.html", "Overview", {**data, "standing": desk.standing.of(desk.principal.tenant)})
    asked = ask.query.get("sort", "attention")
    sort = asked if asked in SORTS else "attention"
    start = start_of(ask)
    rows, count = desk.standing.page(sort, ask.query.get("name", ""), start, LIMIT)
    more = str(start + LIMIT) if count > start + LIMIT else ""
    return View("overview.html", "Overview", {**data, "rows": rows, "count": count, "sort": sort, "next": more})


PAGES = [Page("/", show)]
