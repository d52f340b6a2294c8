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
    "replayed",
    "parked",
    "cancel",
    "tries",
]
"""What a reader of one run asks the server for, in the order in which `from_fields` takes it."""

BRIEF = FIELDS[:-1]
"""What a list of runs asks for: the tries, of up to 64 KB a run, are left out."""


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt of a run, and how it went. Times are ms since 1970, or None."""

    attempt: int
    worker: str | None
    started_at: int | None
    ended_at: int | None
    how: str
    """``died`` or ``retry``; of the last one, the state of its run."""
    error: str | None
    traceback: str | None


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
    replayed: str | None = None
    """The run that replays this one; of several the last."""
    parked: bool = False
    """It waits until the run of its job before it has ended."""
    asked_to_stop: str | None = None
    """Why its worker was asked to stop it."""
    tries: tuple[Try, ...] = ()
    """The attempts that ended otherwise than by the run's end, the last twenty; lists of runs leave them out."""

    @property
    def attempts(self) -> tuple[Try, ...]:
        """The attempts that are on record, in their order: the tries, and the one that goes on or was the last."""
        if self.started_at is None or (self.tries and self.tries[-1].attempt >= self.attempt):
            return self.tries
        error, traceback = self.error, self.traceback
        now = Try(self.attempt, self.worker, self.started_at, self.finished_at, self.state, error, traceback)
        return (*self.tries, now)

    @property
    def is_ended(self) -> bool:
        """Whether its state is final."""
        return self.state in ENDED


def from_fields(run_id: str, tenant: str, values: list[bytes | None]) -> RunInfo | None:
    """Build a run from the values of `FIELDS`, or of `BRIEF`; None when there is no such run."""
    stored = {name: value for name, value in zip(FIELDS, values, strict=False) if value is not None}
    tries = read_tries(stored.pop("tries", b""))
    fields = {name: value.decode() for name, value in stored.items()}
    state = fields.get("state")
    if state is None:
        return None
    outcome = read_outcome(fields.get("result"))
    error, said = outcome.get("e"), fields.get("error")  # what the server said of an end overrules an earlier attempt
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
        error=said or (describe_error(error) if error else None),
        traceback=None if said else outcome.get("tb"),
        deaths=int(fields.get("deaths", 0)),
        of=fields.get("of"),
        replayed=fields.get("replayed"),
        parked="parked" in fields and state not in ENDED,
        asked_to_stop=fields.get("cancel"),
        tries=tries,
    )


def _int(fields: Mapping[str, str], name: str) -> int | None:
    value = fields.get(name)
    return int(value) if value else None


def read_tries(text: bytes) -> tuple[Try, ...]:
    """Read what the moves noted of a run's attempts, one JSON object a line; a line that is none is passed over."""
    found = []
    for line in text.decode(errors="replace").split("\n"):
        try:
            noted = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(noted, dict) and isinstance(noted.get("n"), int):
            found.append(_try(noted))
    return tuple(found)


def _try(noted: Mapping[str, Any]) -> Try:
    def of(kind: type, name: str) -> Any:
        value = noted.get(name)
        return value if isinstance(value, kind) else None

    return Try(
        attempt=noted["n"],
        worker=of(str, "w"),
        started_at=of(int, "s"),
        ended_at=of(int, "t"),
        how=of(str, "h") or "",
        error=of(str, "e"),
        traceback=of(str, "tb"),
    )


def read_outcome(text: str | bytes | None) -> dict[str, Any]:
    """Read what a worker wrote of a run: ``r`` its result, ``e`` its error, ``tb`` the traceback, ``c`` children."""
    if not text:
        return {}
    try:
        outcome = json.loads(text)
    except (ValueError, RecursionError):
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
