"""The page of the audit log: who did what to which tenant, and what the server refused, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.model.duration import parse_duration

from taglane_scheduler.web.console.view import Page, View

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask

LIMIT = 100
"""Entries of a page."""

SINCE = ("", "1h", "1d", "7d", "30d")
"""What can be chosen; any other duration may stand in the URL."""


def show(desk: Desk, ask: Ask) -> View:
    """Return entries of one tenant or of all: what was done, or what the server refused."""
    tenant, action, since = (ask.query.get(field, "") for field in ("tenant", "action", "since"))
    denied = bool(ask.query.get("denied"))
    begin, wrong = 0, ""
    if since:
        try:
            begin = max(0, desk.standing.now() - parse_duration(since))
        except ValueError as error:
            wrong = str(error)
    page = desk.audits.page(
        tenant or None,
        denied=denied,
        action="" if denied else action,
        since=begin,
        before=ask.query.get("after", ""),
        limit=LIMIT,
    )
    data = {"page": page, "wrong": wrong, "choices": SINCE, "since": since, "action": action, "denied": denied}
    return View("audit.html", "Audit", {**data, "command": _command(tenant, since)})


def _command(tenant: str, since: str) -> str:
    return "taglane audit" + (f" --tenant {tenant}" if tenant else "") + (f" --since {since}" if since else "")


PAGES = [Page("/audit", show)]
