"""The page of the templates: jobs that many tenants have, and in what they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.console.view import Page, View

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask


def show(desk: Desk, ask: Ask) -> View:
    """Return what tenants share among some jobs: it is read once, and not anew while somebody looks."""
    name, alone = ask.query.get("name", "").strip(), bool(ask.query.get("alone"))
    page = desk.templates.page(name, ask.query.get("after", ""), alone=alone)
    return View("templates.html", "Templates", {"page": page, "name": name, "alone": alone}, live=False)


PAGES = [Page("/templates", show)]
