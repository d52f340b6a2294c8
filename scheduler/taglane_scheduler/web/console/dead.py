"""The page of the dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from taglane_scheduler.web.console.untrusted import plain
from taglane_scheduler.web.console.view import Action, Done, Page, View

if TYPE_CHECKING:
    from taglane.model.run import RunInfo

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask

PAGE = 50
FURTHEST = 20
"""Pages that can be turned to; for older ones there is the command line."""


def show(desk: Desk, ask: Ask) -> View:
    """Return the dead letters of a tenant, or who has any."""
    job = ask.query.get("job") or None
    tenant = ask.query.get("tenant") or desk.principal.tenant
    counts = desk.dead_letters.counts()
    if tenant is None and len(counts) == 1:
        tenant = counts[0][0]
    number = ask.query.get("page", "1")
    page = min(int(number), FURTHEST) if number.isdecimal() and len(number) < 5 and int(number) else 1
    letters: list[RunInfo] = []
    if tenant is not None:
        letters = desk.dead_letters.list(tenant, job=job, limit=page * PAGE + 1)
    data: dict[str, Any] = {
        "counts": counts,
        "tenant": tenant,
        "job": job or "",
        "rows": [_row(run) for run in letters[(page - 1) * PAGE : page * PAGE]],
        "page": page,
        "more": len(letters) > page * PAGE and page < FURTHEST,
    }
    return View("dead.html", "Dead letters", data)


def _row(run: RunInfo) -> dict[str, Any]:
    return {
        "run": run,
        "job": plain(run.job or "", 70),
        "task": plain(run.task, 120),
        "reason": plain(run.error or "", 300),
    }


def replay(desk: Desk, ask: Ask) -> Done:
    """Run a dead letter again."""
    made = desk.dead_letters.replay(ask.parts["run_id"], ask.form.get("tenant"))
    return Done(ask.say("It runs again: {run}", run=made), f"/runs/{quote(made, safe='')}")


def drop(desk: Desk, ask: Ask) -> Done:
    """Delete a dead letter."""
    desk.dead_letters.drop(ask.parts["run_id"], ask.form.get("tenant"))
    said = ask.say("The dead letter is deleted.")
    return Done(said, _list(ask.form.get("tenant"), ask.form.get("job")))


def replay_all(desk: Desk, ask: Ask) -> Done:
    """Run all dead letters of a tenant, or of a job, again; what is typed has to name it."""
    return _all(desk, ask, drops=False)


def drop_all(desk: Desk, ask: Ask) -> Done:
    """Delete all dead letters of a tenant, or of a job; what is typed has to name it."""
    return _all(desk, ask, drops=True)


def _all(desk: Desk, ask: Ask, *, drops: bool) -> Done:
    tenant, job = ask.form.get("tenant", ""), ask.form.get("job") or None
    back = _list(tenant, job)
    if ask.form.get("typed", "").strip() != (job or tenant):
        said = ask.say("Nothing is done: what was typed is not {name}.", name=job or tenant)
        return Done(said, back, bad=True)
    if drops:
        count = desk.dead_letters.drop_all(tenant, job)
        return Done(ask.say("{count} dead letters are deleted.", count=count), back)
    count = desk.dead_letters.replay_all(tenant, job)
    return Done(ask.say("{count} dead letters run again.", count=count), back)


def _list(tenant: str | None, job: str | None) -> str:
    query = {name: value for name, value in (("tenant", tenant), ("job", job)) if value}
    return "/dead" + (f"?{urlencode(query)}" if query else "")


PAGES = [Page("/dead", show)]

ACTIONS = [
    Action("/dead/all/replay", replay_all),
    Action("/dead/all/drop", drop_all),
    Action("/dead/{run_id}/replay", replay),
    Action("/dead/{run_id}/drop", drop),
]
