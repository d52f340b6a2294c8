"""Cancels, or runs again, all that a query takes: a page that asks, and one that tells how far it is."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, cast

from taglane.errors import NotFound
from taglane.model.query import parse_query
from taglane.store.bulk import MOST, cancellable, retryable

from taglane_scheduler.web.console.languages import text
from taglane_scheduler.web.console.view import Action, Done, Page, View

if TYPE_CHECKING:
    from taglane_scheduler.desk.bulk_works import What
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask

COUNTED = 1_000
"""Up to how many runs are counted before somebody is asked."""

SAMPLE = 10

_DOES = ("cancel", "retry")

_STATES = {
    "waiting": text("waiting"),
    "going on": text("going on"),
    "done": text("done"),
    "broken off": text("broken off"),
    "stopped": text("stopped"),
}


def ask_first(desk: Desk, ask: Ask) -> View:
    """Return what would be done to which runs, with a button that does it."""
    what = _what(ask.query.get("do", ""))
    desk.principal.require("operate", f"{what} in bulk")
    query = parse_query(ask.query.get("q", ""))
    acted_on = cancellable(query) if what == "cancel" else retryable(query)
    ids = desk.searches.ids(acted_on, COUNTED + 1) if acted_on else []
    data = {
        "what": what,
        "q": str(query),
        "count": min(len(ids), COUNTED),
        "more": len(ids) > COUNTED,
        "most": MOST,
        "sample": ids[:SAMPLE],
        "slip": secrets.token_urlsafe(16),
    }
    title = text("Cancel all of these?") if what == "cancel" else text("Run all of these again?")
    return View("bulk_ask.html", title, data, live=False)


def start(desk: Desk, ask: Ask) -> Done:
    """Begin, and go to the page that tells how far it is; a second click comes to the same one."""
    what = _what(ask.form.get("do", ""))
    query = parse_query(ask.form.get("q", ""))
    work = desk.bulks.start(what, query, ask.form.get("slip", "")[:100])
    return Done(ask.say("It goes on, whether you look or not."), f"/runs/bulk/{work.id}")


def show(desk: Desk, ask: Ask) -> View:
    """Return how far a work is."""
    work = desk.bulks.get(ask.parts["work"])
    title = text("Cancelling runs") if work.what == "cancel" else text("Running again")
    return View("bulk.html", title, {"work": work, "state": _STATES[work.state], "most": MOST})


def stop(desk: Desk, ask: Ask) -> Done:
    """Break a work off."""
    work = desk.bulks.stop(ask.parts["work"])
    return Done(ask.say("It stops after the run that it is at."), f"/runs/bulk/{work.id}")


def _what(given: str) -> What:
    if given not in _DOES:
        raise NotFound(f"there is no bulk action {given[:40]!r}: there are {', '.join(_DOES)}")
    return cast("What", given)


PAGES = [Page("/runs/bulk", ask_first), Page("/runs/bulk/{work}", show)]

ACTIONS = [Action("/runs/bulk", start), Action("/runs/bulk/{work}/stop", stop)]
