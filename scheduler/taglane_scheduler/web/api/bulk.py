"""The API's bulk actions: cancel, or run again, all that a query takes; they go on in the console's process."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from taglane.model.query import parse_query
from typing_extensions import TypedDict

from taglane_scheduler.web.api.route import ApiRoute
from taglane_scheduler.web.api.shapes import Empty, Instant, Wanted, instant

if TYPE_CHECKING:
    from taglane_scheduler.desk.bulk_works import BulkWork
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.api.route import Call


class BulkShown(TypedDict):
    """How far it is. *more*: there may be more runs than one takes, so ask again when it is over."""

    id: str
    action: str
    query: str
    state: str
    is_over: bool
    started: Instant | None
    done: int
    skipped: int
    failed: int
    seen: int
    more: bool
    error: str | None


class BulkNew(Wanted):
    """What to do to which runs; *key* makes one of several requests."""

    action: Literal["cancel", "retry"]
    query: Annotated[str, Field(max_length=2_000)]
    key: Annotated[str, Field(min_length=1, max_length=200)] | None = None


def start(desk: Desk, call: Call) -> BulkShown:
    """Begin."""
    body: BulkNew = call.body
    return _shown(desk.bulks.start(body.action, parse_query(body.query), body.key or secrets.token_hex(16)))


def show(desk: Desk, call: Call) -> BulkShown:
    """Return how far it is."""
    return _shown(desk.bulks.get(call.parts["bulk_id"]))


def stop(desk: Desk, call: Call) -> BulkShown:
    """Break it off."""
    return _shown(desk.bulks.stop(call.parts["bulk_id"]))


def _shown(work: BulkWork) -> BulkShown:
    progress = work.progress
    return {
        "id": work.id,
        "action": work.what,
        "query": work.query,
        "state": work.state,
        "is_over": work.is_over,
        "started": instant(int(work.started * 1000)),
        "done": progress.done,
        "skipped": progress.skipped,
        "failed": progress.failed,
        "seen": progress.total_seen,
        "more": progress.more,
        "error": work.error or progress.last_error or None,
    }


def _routes() -> list[ApiRoute]:
    operate: dict[str, Any] = {"role": "operate", "group": "runs", "returns": BulkShown}
    return [
        ApiRoute(
            "POST", "/bulk", start, "Cancel, or run again, all that a query takes", body=BulkNew, status=202, **operate
        ),
        ApiRoute("GET", "/bulk/{bulk_id}", show, "Show how far a bulk action is", **operate),
        ApiRoute("POST", "/bulk/{bulk_id}/stop", stop, "Break a bulk action off", body=Empty, **operate),
    ]


ROUTES = _routes()
