"""All pages and actions of the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.console import (
    account,
    alerts,
    audit,
    bulk,
    dead,
    job,
    job_form,
    jobs,
    keys,
    overview,
    people,
    queues,
    rerun,
    run,
    runs,
    templates,
    tenant,
    tenants,
    workers,
)

if TYPE_CHECKING:
    from taglane_scheduler.web.console.view import Action, FilePage, Page

PAGES: list[Page] = [
    *overview.PAGES,
    *queues.PAGES,
    *workers.PAGES,
    *tenants.PAGES,
    *tenant.PAGES,
    *templates.PAGES,
    *audit.PAGES,
    *alerts.PAGES,
    *jobs.PAGES,
    *job_form.PAGES,
    *job.PAGES,
    *bulk.PAGES,
    *runs.PAGES,
    *rerun.PAGES,
    *run.PAGES,
    *dead.PAGES,
    *account.PAGES,
    *keys.PAGES,
    *people.PAGES,
]

FILES: list[FilePage] = [*run.FILES]

ACTIONS: list[Action] = [
    *queues.ACTIONS,
    *workers.ACTIONS,
    *tenants.ACTIONS,
    *tenant.ACTIONS,
    *alerts.ACTIONS,
    *job_form.ACTIONS,
    *job.ACTIONS,
    *bulk.ACTIONS,
    *rerun.ACTIONS,
    *run.ACTIONS,
    *dead.ACTIONS,
    *account.ACTIONS,
    *keys.ACTIONS,
    *people.ACTIONS,
]
