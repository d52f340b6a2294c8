"""The desk's templates: jobs of one name and task that many tenants have.

The server keeps whole jobs and knows nothing of the templates of a jobs file. What tenants share is found by what is
the same: name and task.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taglane.model.schedule import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taglane.store.stored_job import StoredJob

    from taglane_scheduler.desk.desk import Desk

LOOKED = 500
"""Jobs that one page looks at."""


@dataclass(frozen=True, slots=True)
class SharedJob:
    """A job that some tenants have under one name, with one task."""

    name: str
    task: str
    tenants: Sequence[str]
    schedule: str
    """The one that most of them have."""
    schedules: int
    """How many schedules there are among them."""
    other_schedule: Sequence[str]
    """Tenants with another one than most."""
    params: int
    """How many params there are among them."""
    other_params: Sequence[str]
    """Tenants with other params than most."""
    paused: Sequence[str]


@dataclass(frozen=True, slots=True)
class SharedPage:
    """What was found among some jobs; *next* asks for further ones."""

    shared: Sequence[SharedJob]
    looked: int
    unread: int
    next: str


class TemplateDesk:
    """What tenants share, for who sees all of them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def page(self, pattern: str = "", after: str = "", *, alone: bool = False) -> SharedPage:
        """Return what tenants share among the next `LOOKED` jobs; *alone*: what one tenant has, too.

        *pattern* is a job's name, or its beginning with a ``*``: with a whole name few jobs are looked at in vain.

        Raises:
            RoleNeeded: the principal sees one tenant.
            BadQuery: *after* is no page of jobs, or *pattern* can't be one.
        """
        self._desk.principal.require_all("read", "what tenants share")
        tenants = self._desk.tenants_in_reach()
        found = self._desk.services.jobs.page(tenants, pattern=pattern, after=after, limit=LOOKED)
        return SharedPage(share(found.jobs, 1 if alone else 2), len(found.jobs), len(found.unread), found.next)


def share(jobs: Iterable[StoredJob], fewest: int = 1) -> list[SharedJob]:
    """Group jobs by name and task, those that *fewest* tenants have or more; what most have comes first."""
    groups: defaultdict[tuple[str, str], list[StoredJob]] = defaultdict(list)
    for stored in jobs:
        groups[stored.job.name, stored.job.task].append(stored)
    found = [_shared(name, task, members) for (name, task), members in groups.items() if len(members) >= fewest]
    return sorted(found, key=lambda each: (-len(each.tenants), each.name, each.task))


def _shared(name: str, task: str, members: Sequence[StoredJob]) -> SharedJob:
    schedules = [describe(stored.job.schedule) for stored in members]
    params = [json.dumps(stored.job.params, sort_keys=True) for stored in members]
    tenants = [stored.job.tenant for stored in members]
    return SharedJob(
        name=name,
        task=task,
        tenants=tenants,
        schedule=_most(schedules),
        schedules=len(set(schedules)),
        other_schedule=_others(tenants, schedules),
        params=len(set(params)),
        other_params=_others(tenants, params),
        paused=[stored.job.tenant for stored in members if stored.paused],
    )


def _most(values: Sequence[str]) -> str:
    return Counter(values).most_common(1)[0][0]


def _others(tenants: Sequence[str], values: Sequence[str]) -> list[str]:
    most = _most(values)
    return [tenant for tenant, value in zip(tenants, values, strict=True) if value != most]
