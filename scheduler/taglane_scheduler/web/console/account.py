"""One's own account: password, keys of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.access.errors import BadPassword
from taglane_scheduler.access.principal import ROLES
from taglane_scheduler.web.console.keys import lasts_of
from taglane_scheduler.web.console.view import Action, Done, Page, View

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask


def show(desk: Desk, ask: Ask, secret: str = "") -> View:
    """Return who one is, and one's own keys; *secret* is the key just made."""
    del ask
    principal = desk.principal
    roles = [role for role in ROLES if principal.may(role)]
    data = {"keys": desk.keys.own(), "roles": roles, "secret": secret, "is_person": ":" not in principal.name}
    return View("account.html", "Account", data, live=False)


def change_password(desk: Desk, ask: Ask) -> Done:
    """Change one's own password; then one has to log in with it."""
    if ask.form.get("new", "") != ask.form.get("again", ""):
        raise BadPassword("the two are not the same")
    desk.people.change_own_password(ask.form.get("old", ""), ask.form.get("new", ""))
    return Done("The password is changed: log in with it.", "/login")


def create_key(desk: Desk, ask: Ask) -> View:
    """Make a key of one's own, and show it this once."""
    secret, _ = desk.keys.create_own(
        ask.form.get("role", ""), name=ask.form.get("name", ""), lasts=lasts_of(ask.form.get("expires", ""))
    )
    return show(desk, ask, secret)


def revoke_key(desk: Desk, ask: Ask) -> Done:
    """Let a key of one's own open nothing any more."""
    desk.keys.revoke(ask.form.get("id", ""))
    return Done("The key is revoked.", "/account")


PAGES = [Page("/account", show)]

ACTIONS = [
    Action("/account/password", change_password),
    Action("/account/keys", create_key),
    Action("/account/keys/revoke", revoke_key),
]
