"""The form in which a run's params are changed, to run its task again with them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from taglane.errors import BadParams

from taglane_scheduler.web.console.json_text import read_object
from taglane_scheduler.web.console.untrusted import plain, shown_json
from taglane_scheduler.web.console.view import Action, Done, Page, View

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask


def show(desk: Desk, ask: Ask) -> View:
    """Return the form with the run's params, secrets covered."""
    desk.principal.require("write", "running with other params")
    run_id, tenant = ask.parts["run_id"], ask.query.get("tenant")
    return _view(desk, ask, shown_json(desk.calls.get(run_id, tenant).call.params or {}, 200_000))


def again(desk: Desk, ask: Ask) -> Done | View:
    """Make a run of the same task and tag with the params of the form."""
    run_id, tenant = ask.parts["run_id"], ask.query.get("tenant")
    typed = ask.form.get("params", "")
    params, wrong = read_object(typed)
    if params is None:
        return _view(desk, ask, typed, wrong)
    try:
        made = desk.calls.again(run_id, params, tenant)
    except BadParams as error:
        return _view(desk, ask, typed, str(error))
    to = f"/runs/{quote(made, safe='')}" + (f"?tenant={quote(tenant)}" if tenant else "")
    return Done(ask.say("A new run of the same task: this one."), to)


def _view(desk: Desk, ask: Ask, typed: str, wrong: str = "") -> View:
    run_id, tenant = ask.parts["run_id"], ask.query.get("tenant")
    found = desk.calls.get(run_id, tenant)
    run = desk.runs.get(run_id, tenant)
    data = {
        "run": run,
        "task": plain(run.task, 250),
        "tag": plain(run.tag, 130),
        "kept": found.call.params is not None,
        "covered": found.covered,
        "typed": typed,
        "wrong": wrong,
        "args": shown_json(found.call.args) if found.call.args else "",
        "own": f"?tenant={quote(tenant)}" if tenant else "",
    }
    return View("rerun.html", "Run again with other params", data, live=False, status=422 if wrong else 200)


PAGES = [Page("/runs/{run_id}/again", show)]

ACTIONS = [Action("/runs/{run_id}/again", again)]
