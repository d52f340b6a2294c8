"""The API keys of a tenant, or of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.errors import BadSchedule
from taglane.model.duration import parse_duration

from taglane_scheduler.access.api_keys import place
from taglane_scheduler.access.principal import ROLES
from taglane_scheduler.web.console.view import Action, Done, Page, View

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask

PAGE = 100


def lasts_of(text: str) -> int | None:
    """Read for how long, ms, a key is to open; None for ever.

    Raises:
        BadSchedule: it is no duration.
    """
    try:
        return parse_duration(text.strip()) if text.strip() else None
    except ValueError as error:
        raise BadSchedule(str(error)) from error


def show(desk: Desk, ask: Ask, secret: str = "") -> View:
    """Return the keys that there are, with a form that makes one; *secret* is the one just made."""
    tenant = ask.query.get("tenant") or None
    found = desk.keys.list(tenant, after=ask.query.get("after", ""), limit=PAGE)
    data = {
        "keys": found,
        "next": place(found[-1]) if len(found) == PAGE else "",
        "roles": [role for role in ROLES if desk.principal.may(role)],
        "secret": secret,
        "tenant": tenant or desk.principal.tenant or "",
    }
    return View("keys.html", "API keys", data, live=not secret)


def create(desk: Desk, ask: Ask) -> View:
    """Make a key, and show it this once."""
    form = ask.form
    lasts = lasts_of(form.get("expires", ""))
    secret, _ = desk.keys.create(
        form.get("role", ""), form.get("tenant") or None, name=form.get("name", ""), lasts=lasts
    )
    return show(desk, ask, secret)


def revoke(desk: Desk, ask: Ask) -> Done:
    """Let a key open nothing any more."""
    desk.keys.revoke(ask.form.get("id", ""))
    return Done("The key is revoked.", "/keys")


PAGES = [Page("/keys", show)]

ACTIONS = [Action("/keys", create), Action("/keys/revoke", revoke)]
