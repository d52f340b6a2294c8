"""The page of the queues: what waits for each tag of each tenant, and how to empty one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.console.places import place_of
from taglane_scheduler.web.console.view import Action, Done, Page, View

if TYPE_CHECKING:
    from taglane.model.standing import TagStanding

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask

LIMIT = 100
"""Tags of a page."""


def show(desk: Desk, ask: Ask) -> View:
    """Return the tags of one tenant, or of all by tenant and tag; perhaps only those that nobody serves."""
    given = ask.query.get("tenant") or None
    if given:
        desk.tenants_in_reach(given)
    standings = desk.standing.all(given)
    only = ask.query.get("only", "")
    found = [
        (standing, tag)
        for standing in standings
        for tag in standing.tags
        if _is_wanted(tag, only) and (standing.tenant, tag.tag) > place_of(ask)
    ]
    shown = found[:LIMIT]
    desk.standing.freshen([*dict.fromkeys(standing.tenant for standing, _ in shown)])
    more = f"{shown[-1][0].tenant}~{shown[-1][1].tag}" if len(found) > LIMIT else ""
    unread = [each.tenant for each in standings if not each.readable]
    return View("queues.html", "Queues", {"rows": shown, "next": more, "only": only, "unread": unread[:LIMIT]})


def _is_wanted(tag: TagStanding, only: str) -> bool:
    if only == "unserved":
        return tag.waits_in_vain
    return not only or bool(tag.queued or tag.delayed or tag.parked)


def purge(desk: Desk, ask: Ask) -> Done:
    """Empty one queue."""
    tenant, tag = ask.form.get("tenant", ""), ask.form.get("tag", "")
    count = desk.queues.purge(tenant, tag, delayed=bool(ask.form.get("delayed")))
    return Done(
        ask.say("Cancelled {count} runs that waited for tag {tag}.", count=count, tag=tag), f"/queues?tenant={tenant}"
    )


PAGES = [Page("/queues", show)]

ACTIONS = [Action("/queues/purge", purge)]
