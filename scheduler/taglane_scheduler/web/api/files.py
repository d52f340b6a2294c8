"""The API's jobs files: compare, apply, export. A file is YAML; JSON is YAML, too."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from taglane.errors import OverLimit
from typing_extensions import TypedDict

from taglane_scheduler.web.api.reading import LONGEST
from taglane_scheduler.web.api.route import ApiRoute, Text
from taglane_scheduler.web.api.shapes import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.jobs_diff import Change
    from taglane_scheduler.web.api.route import Call


AT_ONCE = 2
"""Jobs files that are read at a time: a large one takes a core for a quarter of a minute."""

_reading = threading.BoundedSemaphore(AT_ONCE)


class TooManyFiles(OverLimit):
    """As many jobs files are read as may."""

    retry_after = 2.0

    def __init__(self) -> None:
        super().__init__(f"{AT_ONCE} jobs files are being read, and that is the most: ask again in a moment")


class ChangeRow(TypedDict):
    """What becomes of a job, or, where *job* is null, of a tenant's limits: created, updated, unchanged or pruned."""

    tenant: str
    job: str | None
    template: str | None
    change: str


class DiffRow(ChangeRow):
    """Likewise, with the fields before and after, as a jobs file spells them."""

    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Applied(TypedDict):
    """What was changed, or left."""

    items: list[ChangeRow]


class Diff(TypedDict):
    """What would be changed."""

    items: list[DiffRow]


class JobsFileWanted(Wanted):
    """A jobs file; with *prune*, the jobs that it lacks go, of the tenants that it names."""

    file: Annotated[str, Field(max_length=LONGEST)]
    prune: bool = False


def apply(desk: Desk, call: Call) -> Applied:
    """Make the server's jobs and limits those of the file."""
    with _turn():
        return {"items": _rows(desk.jobs_files.apply(call.body.file, prune=call.body.prune))}


def diff(desk: Desk, call: Call) -> Diff:
    """Return what applying the file would change."""
    with _turn():
        found = [each for each in desk.jobs_files.diff(call.body.file, prune=call.body.prune) if each.is_any]
    rows: list[DiffRow] = [
        {**row, "before": each.before, "after": each.after} for row, each in zip(_rows(found), found, strict=True)
    ]
    return {"items": rows}


def export(desk: Desk, call: Call) -> Text:
    """Return a jobs file of a tenant."""
    return Text(desk.jobs_files.export(call.parts["tenant"]).encode(), "application/yaml")


@contextmanager
def _turn() -> Iterator[None]:
    if not _reading.acquire(blocking=False):
        raise TooManyFiles
    try:
        yield
    finally:
        _reading.release()


def _rows(found: Sequence[Change]) -> list[ChangeRow]:
    return [
        {"tenant": each.tenant, "job": each.job, "template": each.template, "change": each.change} for each in found
    ]


def _routes() -> list[ApiRoute]:
    write: dict[str, Any] = {"role": "write", "group": "jobs"}
    return [
        ApiRoute("POST", "/apply", apply, "Apply a jobs file", returns=Applied, body=JobsFileWanted, **write),
        ApiRoute("POST", "/diff", diff, "Show what applying would change", returns=Diff, body=JobsFileWanted, **write),
        ApiRoute(
            *("GET", "/tenants/{tenant}/jobs-file", export, "Export a jobs file"),
            returns=dict[str, Any],
            media="application/yaml",
            **write,
        ),
    ]


ROUTES = _routes()
