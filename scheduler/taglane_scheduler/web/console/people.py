"""Who may log in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.access.principal import ROLES
from taglane_scheduler.web.console.view import Action, Done, Page, View

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask


def show(desk: Desk, ask: Ask) -> View:
    """Return everybody who may log in, with a form that adds somebody."""
    del ask
    return View("people.html", "People", {"people": desk.people.list(), "roles": ROLES})


def add(desk: Desk, ask: Ask) -> Done:
    """Let somebody log in."""
    form = ask.form
    made = desk.people.add(
        form.get("name", ""), form.get("password", ""), form.get("role", ""), form.get("tenant", "").strip() or None
    )
    return Done(f"{made.name} may log in.", "/people")


def change_role(desk: Desk, ask: Ask) -> Done:
    """Give somebody another role."""
    changed = desk.people.change_role(ask.form.get("name", ""), ask.form.get("role", ""))
    return Done(f"{changed.name} has the role {changed.role} now, and has to log in again.", "/people")


def change_password(desk: Desk, ask: Ask) -> Done:
    """Give somebody another password."""
    desk.people.change_password(ask.form.get("name", ""), ask.form.get("password", ""))
    return Done("The password is changed.", "/people")


def delete(desk: Desk, ask: Ask) -> Done:
    """Let somebody in no more."""
    desk.people.delete(ask.form.get("name", ""))
    return Done(f"{ask.form.get('name', '')} is deleted.", "/people")


PAGES = [Page("/people", show)]

ACTIONS = [
    Action("/people", add),
    Action("/people/role", change_role),
    Action("/people/password", change_password),
    Action("/people/delete", delete),
]
