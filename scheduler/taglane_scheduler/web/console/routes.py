"""All pages, files and actions of the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.console import bulk, dead, job, job_form, jobs, rerun, run, runs, workers

if TYPE_CHECKING:
    from taglane_scheduler.web.console.view import Action, FilePage, Page

PAGES: list[Page] = [
    *workers.PAGES,
    *jobs.PAGES,
    *job_form.PAGES,
    *job.PAGES,
    *bulk.PAGES,
    *runs.PAGES,
    *rerun.PAGES,
    *run.PAGES,
    *dead.PAGES,
]

FILES: list[FilePage] = [*run.FILES]

ACTIONS: list[Action] = [
    *job_form.ACTIONS,
    *job.ACTIONS,
    *bulk.ACTIONS,
    *rerun.ACTIONS,
    *run.ACTIONS,
    *dead.ACTIONS,
]
