"""The page of one run: its life, its attempts, what it was called with, its log."""

from __future__ import annotations

import shlex
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from taglane.errors import BadName
from taglane.model.names import check_run_id

from taglane_scheduler.care.attention import attention
from taglane_scheduler.desk.calls import CoveredCall
from taglane_scheduler.web.console.attention import told
from taglane_scheduler.web.console.bars import took, waited
from taglane_scheduler.web.console.languages import text
from taglane_scheduler.web.console.render import iso
from taglane_scheduler.web.console.timeline import WIDTH, timeline
from taglane_scheduler.web.console.untrusted import plain, shown_json
from taglane_scheduler.web.console.view import Action, Done, Download, FilePage, Page, Tail, View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taglane.model.log_line import LogLine
    from taglane.model.run import RunInfo, Try
    from taglane.store.logs import LogPage

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.attention import Told
    from taglane_scheduler.web.console.view import Ask

SHOWN = 500
"""Lines of a log's end that the page begins with."""

_HOW = {"died": text("died"), "retry": text("retry")}
"""How an attempt went that did not end its run."""

_HOLDS = frozenset({"paused", "at_limit"})
"""What keeps all runs of a tenant from being taken."""

PIECE = 1_000
PIECES = 200
"""Lines a read, and reads, of a download: more than a log may have."""


class ShownLog:
    """The log of one run, read when the page that shows it is rendered whole, and once."""

    def __init__(self, desk: Desk, run_id: str, tenant: str | None) -> None:
        self._desk, self._run_id, self._tenant = desk, run_id, tenant

    @cached_property
    def page(self) -> LogPage:
        """The last lines."""
        return self._desk.logs.tail(self._run_id, self._tenant, count=SHOWN)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines, fit to be shown."""
        return [line_of(line) for line in self.page.lines]

    def cursor(self) -> str:
        """Return behind which line to go on."""
        return self.page.last or "0-0"


def line_of(line: LogLine) -> dict[str, Any]:
    """Return a line of a log as the templates show it."""
    level = plain(line.level, 12)
    return {
        "id": line.id,
        "at": iso(line.at)[11:23],
        "when": iso(line.at),
        "level": level,
        "kind": "bad" if level in {"ERROR", "CRITICAL"} or line.stream == "stderr" else level.lower()[:10],
        "logger": plain(line.logger, 80),
        "stream": line.stream if line.stream != "log" else "",
        "attempt": line.attempt,
        "text": plain(line.text),
    }


def show(desk: Desk, ask: Ask) -> View:
    """Return one run."""
    run_id, tenant = ask.parts["run_id"], ask.query.get("tenant")
    found = desk.calls.get(run_id, tenant)  # refuses a record that is too large to be read
    return _view(desk, ask, desk.runs.get(run_id, tenant), found)


def reveal(desk: Desk, ask: Ask) -> View:
    """Return the run with what its params cover, once; the audit log tells."""
    run_id, tenant = ask.parts["run_id"], ask.query.get("tenant")
    found = CoveredCall(desk.calls.uncovered(run_id, tenant), 0)
    return _view(desk, ask, desk.runs.get(run_id, tenant), found, uncovered=True)


def _view(desk: Desk, ask: Ask, run: RunInfo, found: CoveredCall, *, uncovered: bool = False) -> View:
    tenant = ask.query.get("tenant")
    args, params = found.call.args, found.call.params
    now = time.time_ns() // 1_000_000
    log = ShownLog(desk, run.id, tenant)

    def more(cursor: str) -> tuple[Mapping[str, Any], str]:
        page = desk.logs.read(run.id, tenant, after=cursor)
        return ({"lines": [line_of(line) for line in page.lines]} if page.lines else {}), page.last or cursor

    result, covered = desk.calls.cover(run.result)
    own = f"?tenant={quote(tenant)}" if tenant else ""
    data = {
        "run": run,
        "own": own,
        "at": f"/runs/{quote(run.id, safe='')}",
        "cli": f" --tenant {shlex.quote(tenant)}" if tenant else "",
        "life": timeline(run, now),
        "wide": WIDTH,
        "waited": waited(run, now),
        "took": took(run, now),
        "attempts": [_attempt(each, now) for each in run.attempts],
        "task": plain(run.task, 250),
        "job": plain(run.job or "", 70),
        "tag": plain(run.tag, 130),
        "worker": plain(run.worker or "", 100),
        "waits_for": _waits_for(desk, ask, run),
        "error": plain(run.error or "", 4_000),
        "of": _id(run.of),
        "replayed": _id(run.replayed),
        "why_stop": plain(run.asked_to_stop or "", 200),
        "args": shown_json(args) if args else "",
        "params": None if params is None else shown_json(params),
        "covered": found.covered,
        "uncovered": uncovered,
        "result": shown_json(result) if run.state == "succeeded" else None,
        "result_covered": covered,
        "progress": None if found.call.progress is None or run.is_ended else shown_json(found.call.progress, 4_000),
        "call": found.call,
        "log": log,
    }
    tail = Tail("log", more, "log_lines.html", log.cursor)
    return View("run.html", "Run", data, live=not uncovered, tail=None if uncovered else tail, name=run.id)


def _waits_for(desk: Desk, ask: Ask, run: RunInfo) -> list[Told]:
    """Return why a run that waits is not taken: its tenant is paused or at its limit, or no worker serves its tag."""
    if run.state != "queued" or run.parked:
        return []
    found = attention([desk.standing.of(run.tenant)])
    return [
        told(each, ask) for each in found if each.kind in _HOLDS or (each.kind, each.subject) == ("no_worker", run.tag)
    ]


def _id(named: str | None) -> str:
    """Return what may be a run's id; '' for what can't be one."""
    try:
        return check_run_id(named) if named else ""
    except BadName:
        return ""


def _attempt(each: Try, now: int) -> dict[str, Any]:
    end = each.ended_at if each.ended_at is not None else now
    return {
        "number": each.attempt,
        "worker": plain(each.worker or "", 100),
        "started": each.started_at,
        "ended": each.ended_at,
        "ms": None if each.started_at is None else max(0, end - each.started_at),
        "how": plain(_HOW.get(each.how, each.how), 20),
        "error": plain(each.error or "", 2_000),
        "traceback": plain(each.traceback or "", 40_000),
    }


def log_text(desk: Desk, ask: Ask) -> Download:
    """Return a run's whole log as text."""
    run_id, tenant = ask.parts["run_id"], ask.query.get("tenant")
    desk.runs.get(run_id, tenant)
    left = PIECES

    def read(cursor: str) -> tuple[str, str]:
        nonlocal left
        left -= 1
        page = desk.logs.read(run_id, tenant, after=cursor, count=PIECE)
        piece = "".join(_as_text(line) for line in page.lines)
        return piece, page.last if page.lines and left > 0 else ""

    return Download(f"{run_id}.log.txt", read)


def _as_text(line: LogLine) -> str:
    who = " ".join(plain(word, 100) for word in (line.level, line.logger) if word) or line.stream
    return f"{iso(line.at)} [{line.attempt}] {who}: {plain(line.text)}\n"


def cancel(desk: Desk, ask: Ask) -> Done:
    """Cancel a run."""
    run_id, tenant = ask.parts["run_id"], ask.query.get("tenant")
    said = {
        "cancelled": text("The run is cancelled."),
        "asked": text("Its worker is asked to stop it."),
        "ended": text("It had ended already."),
    }[desk.runs.cancel(run_id, tenant)]
    return Done(ask.say(said), _at(run_id, tenant))


def retry(desk: Desk, ask: Ask) -> Done:
    """Run a run again, and go to the new one."""
    run_id, tenant = ask.parts["run_id"], ask.query.get("tenant")
    made = desk.runs.retry(run_id, tenant, before=ask.form.get("before"))
    return Done(ask.say("It runs again, as this run."), _at(made, tenant))


def _at(run_id: str, tenant: str | None) -> str:
    return f"/runs/{quote(run_id, safe='')}" + (f"?tenant={quote(tenant)}" if tenant else "")


PAGES = [Page("/runs/{run_id}", show)]

FILES = [FilePage("/runs/{run_id}/log.txt", log_text)]

ACTIONS = [
    Action("/runs/{run_id}/cancel", cancel),
    Action("/runs/{run_id}/retry", retry),
    Action("/runs/{run_id}/params", reveal),
]
