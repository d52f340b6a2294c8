"""The API's usage: what tenants and their jobs have used, by day."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from taglane.model.usage import total
from typing_extensions import TypedDict

from taglane_scheduler.desk.usage import DAYS
from taglane_scheduler.web.api.route import ApiRoute
from taglane_scheduler.web.api.shapes import Name, Page, TenantPageAsked, by_tenants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.model.usage import DayUsage

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.api.route import Call

_COUNTS = ("succeeded", "failed", "cancelled", "expired", "dead", "retried", "due", "fired", "skipped", "missed")
_MORE = ("triggered", "replayed", "died")


class UsageRow(TypedDict):
    """What was used on one day, UTC: of a tenant, or of a job of its; of all the days together, *day* is the last.

    Percentiles are the ends of buckets: the true ones are less, by half at most. Jobs have none.
    """

    tenant: str
    day: str
    job: str | None
    runs: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    dead: int
    retried: int
    due: int
    fired: int
    skipped: int
    missed: int
    triggered: int
    replayed: int
    died: int
    worker_seconds: float
    wait_p50_ms: int | None
    wait_p95_ms: int | None
    wait_p99_ms: int | None
    late_p50_ms: int | None
    late_p95_ms: int | None
    late_p99_ms: int | None


class UsageAsked(TenantPageAsked):
    """Of how many days, and by what."""

    days: Annotated[int, Field(ge=1, le=DAYS)] = 7
    by: Literal["day", "job", "tenant"] = "day"
    job: Name = ""


def usage(desk: Desk, call: Call) -> Page[UsageRow]:
    """Return what was used, whole tenants at a time."""
    asked: UsageAsked = call.query

    def read(tenants: Sequence[str]) -> list[tuple[str, UsageRow]]:
        if asked.job or asked.by == "job":
            found = desk.usage.jobs(tenants, asked.days, asked.job or None)
        else:
            found = desk.usage.days(tenants, asked.days)
        if asked.by == "tenant" and not asked.job:
            sums = (total(group) for _, group in groupby(found, key=lambda each: each.tenant))
            found = [each for each in sums if each is not None]
        return [(each.tenant, _row(each)) for each in found]

    return by_tenants(desk.tenants_in_reach(asked.tenant or None), asked.after, asked.limit, read)


def _row(each: DayUsage) -> UsageRow:
    row: Any = {"tenant": each.tenant, "day": f"{each.day}", "job": each.job, "runs": each.made}
    row |= {name: getattr(each, name) for name in (*_COUNTS, *_MORE)}
    row["worker_seconds"] = each.ms / 1000
    for name, found in (("wait", each.wait), ("late", each.late)):
        row |= {f"{name}_p{percent}_ms": found.below(percent) for percent in (50, 95, 99)}
    made: UsageRow = row
    return made


ROUTES = [
    ApiRoute(
        *("GET", "/usage", usage, "Show what tenants and jobs have used", "read", Page[UsageRow]),
        query=UsageAsked,
        group="usage",
    )
]
