"""The page of the runs: a query, and what it finds."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Any

from taglane.errors import BadQuery
from taglane.model.query import FIELDS, GROUPS, parse_query
from taglane.model.run import STATES

from taglane_scheduler.web.console.bars import took, waited
from taglane_scheduler.web.console.languages import text
from taglane_scheduler.web.console.untrusted import plain
from taglane_scheduler.web.console.view import Page, View

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taglane.model.query import RunQuery
    from taglane.model.run import RunInfo

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask

PER_PAGE = 50

QUICK = (
    (text("All"), ""),
    (text("Open"), "state:open"),
    (text("Running"), "state:running"),
    (text("Ended unwell"), "state:unwell"),
    (text("Unwell, last hour"), "state:unwell since:1h"),
    (text("Succeeded"), "state:succeeded"),
    (text("Scheduled"), "state:scheduled,retrying"),
)

EXAMPLES = (
    *(f"state:{state}" for state in (*GROUPS, *STATES)),
    *("since:1h", "since:1d", "until:10m"),
    *(f"{name}:" for name in FIELDS if name not in {"state", "since", "until"}),
)
"""What is suggested while a query is typed."""


def show(desk: Desk, ask: Ask) -> View:
    """Return a page of the runs that a query takes; a query that can't be read is shown with the place marked."""
    asked = ask.query.get("q", "").strip()
    data: dict[str, Any] = {"q": asked, "quick": _quick(asked), "examples": EXAMPLES, "wrong": None, "canonical": ""}
    try:
        query = parse_query(asked)
    except BadQuery as error:
        wrong = {
            "why": error.why,
            "before": error.query[: error.position - 1],
            "rest": error.query[error.position - 1 :],
        }
        data |= {"wrong": wrong, "rows": [], "next": "", "back_to": None, "after": ""}
        return View("runs.html", "Runs", data, live=False, status=422)
    after = ask.query.get("after", "")
    page = desk.searches.page(query, after=after, limit=PER_PAGE)
    data |= {
        "rows": list(_rows(page.runs)),
        "next": page.next,
        "back_to": page.back_to,
        "after": after,
        "canonical": str(query),
        "cli": cli_of(query),
    }
    looks_far = len(page.runs) < PER_PAGE and bool(page.next)  # so much is not looked at again every second
    return View("runs.html", "Runs", data, live=not after and not looks_far)


def cli_of(query: RunQuery) -> str:
    """Return the command that lists the same."""
    return f"taglane run list {shlex.quote(str(query))}" if str(query) else "taglane run list"


def _rows(runs: Sequence[RunInfo]) -> Iterator[dict[str, Any]]:
    now = time.time_ns() // 1_000_000
    for run in runs:
        yield {
            "run": run,
            "short": run.id.rpartition(".")[2][-10:] if "." in run.id else run.id[:16],
            "task": plain(run.task, 120),
            "job": plain(run.job or "", 70),
            "tag": plain(run.tag, 130),
            "worker": plain(run.worker or "", 80),
            "waited": waited(run, now),
            "took": took(run, now),
            "error": plain(run.error or "", 160),
        }


def _quick(asked: str) -> list[tuple[str, str, bool]]:
    """Return the quick filters: name, query, and whether it is the one that is shown; what names no state is kept."""
    kept = [term for term in asked.split() if not term.startswith(("state:", "since:", "until:"))]
    made = []
    for name, query in QUICK:
        whole = " ".join([*kept, query]).strip()
        made.append((name, whole, sorted(whole.split()) == sorted(asked.split())))
    return made


PAGES = [Page("/runs", show)]
