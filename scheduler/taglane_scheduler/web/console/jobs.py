"""The page of the jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from taglane.model.schedule import describe

from taglane_scheduler.desk.job_pages import JobFilter
from taglane_scheduler.web.console.schedule_words import clock, in_words
from taglane_scheduler.web.console.view import Page, View

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask

_YES = {"yes": True, "no": False}


def show(desk: Desk, ask: Ask) -> View:
    """Return a page of the jobs that the address asks for."""
    query = ask.query
    wanted = JobFilter(
        tenant=query.get("tenant", "").strip(),
        name=query.get("name", "").strip(),
        tag=query.get("tag", "").strip(),
        task=query.get("task", "").strip(),
        paused=_YES.get(query.get("paused", "")),
        overdue=_YES.get(query.get("overdue", "")),
    )
    found = desk.job_pages.list(wanted, after=query.get("after", ""))
    rows = [
        {
            "job": stored.job,
            "paused": stored.paused,
            "next": stored.next_due,
            "clock": clock(stored.next_due, stored.job.schedule.tz) if stored.next_due else "",
            "parked": stored.parked,
            "words": in_words(stored.job.schedule, ask.language, f"{stored.job.tenant}/{stored.job.name}"),
            "written": describe(stored.job.schedule),
            "last": list(reversed(found.last.get((stored.job.tenant, stored.job.name), ()))),
        }
        for stored in found.jobs
    ]
    now = time.time_ns() // 1_000_000
    data = {"rows": rows, "unread": found.unread, "next": found.next, "wanted": wanted, "late": now - 60_000}
    return View("jobs.html", "Jobs", data)


PAGES = [Page("/jobs", show)]
