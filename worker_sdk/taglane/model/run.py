"""A run as its readers see it: one execution asked for, by a fire or by a call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDED = frozenset({"succeeded", "failed", "cancelled", "expired", "dead", "skipped"})
"""The states that are final."""

STATES = (
    "scheduled",
    "queued",
    "running",
    "succeeded",
    "failed",
    "retrying",
    "cancelled",
    "expired",
    "dead",
    "skipped",
)

FIELDS = [
    "state",
    "job",
    "task",
    "tag",
    "due",
    "queued_at",
    "started_at",
    "finished_at",
    "holder",
    "attempts",
    "result",
    "error",
    "deaths",
    "of",
    "ended",
    "progress",
]
"""What a reader of runs asks the server for, in the order in which `from_fields` takes it."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """All that is kept of one run. Times are ms since 1970, or None."""

    id: str
    tenant: str
    job: str | None
    task: str
    tag: str
    state: str
    due: int | None
    queued_at: int | None
    started_at: int | None
    finished_at: int | None
    worker: str | None
    attempt: int
    result: Any
    error: str | None
    traceback: str | None = None
    deaths: int = 0
    of: str | None = None
    """The run that this one replays."""

    @property
    def is_ended(self) -> bool:
        """Whether its state is final."""
        return self.state in ENDED


def from_fields(run_id: str, tenant: str, values: list[bytes | None]) -> RunInfo | None:
    """Build a run from the values of `FIELDS`; None when there is no such run."""
    fields = {name: value.decode() for name, value in zip(FIELDS, values, strict=True) if value is not None}
    state = fields.get("state")
    if state is None:
        return None
    outcome = read_outcome(fields.get("result"))
    error = outcome.get("e")
    return RunInfo(
        id=run_id,
        tenant=tenant,
        job=fields.get("job"),
        task=fields.get("task", ""),
        tag=fields.get("tag", ""),
        state="running" if state == "replaced" else state,
        due=_int(fields, "due"),
        queued_at=_int(fields, "queued_at"),
        started_at=_int(fields, "started_at"),
        finished_at=_int(fields, "finished_at"),
        worker=fields.get("holder"),
        attempt=int(fields.get("attempts", 0)),
        result=outcome.get("r") if state == "succeeded" else None,
        error=describe_error(error) if error else fields.get("error"),
        traceback=outcome.get("tb"),
        deaths=int(fields.get("deaths", 0)),
        of=fields.get("of"),
    )


def _int(fields: Mapping[str, str], name: str) -> int | None:
    value = fields.get(name)
    return int(value) if value else None


def read_outcome(text: str | bytes | None) -> dict[str, Any]:
    """Read what a worker wrote of a run: ``r`` its result, ``e`` its error, ``tb`` the traceback, ``c`` children."""
    if not text:
        return {}
    try:
        outcome = json.loads(text)
    except ValueError:
        return {"e": {"exc_type": "Unreadable", "exc_message": ["the stored result is not JSON"]}}
    return outcome if isinstance(outcome, dict) else {}


def describe_error(error: Any) -> str:
    """Return ``Type: message`` of an error as Celery stores it."""
    if not isinstance(error, dict):
        return str(error)
    message = error.get("exc_message")
    if isinstance(message, (list, tuple)):
        message = ", ".join(str(part) for part in message)
    return f"{error.get('exc_type', 'Error')}: {message}" if message else str(error.get("exc_type", "Error"))
