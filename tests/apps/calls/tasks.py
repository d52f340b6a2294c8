"""Celery tasks as applications have them: nothing here knows of Taglane, but for the one that looks at its tenant.

What a test is to see of a task that has no result lies in files of the folder `CALLS_FOLDER`: a task adds a line to the
file of a name, or waits until a file is there.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

import taglane
from celery import Task, chain, chord, group, shared_task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

from calls.app import app

PATIENCE = 20.0
"""Seconds until a task that waits for a file gives up: longer than any test waits for the task."""


def note(name: str, line: str = "") -> int:
    """Add a line to the file of *name*; answers how many lines it has now."""
    path = Path(os.environ["CALLS_FOLDER"]) / name
    with path.open("a") as file:
        file.write(f"{line}\n")
    return len(path.read_text().splitlines())


def wait_for(name: str) -> None:
    """Return when the file of *name* is there."""
    path, deadline = Path(os.environ["CALLS_FOLDER"]) / name, time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(name)
        time.sleep(0.01)


@shared_task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def multiply(x: int, y: int) -> int:
    return x * y


@shared_task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@shared_task
def noted(name: str, line: str = "") -> str:
    note(name, line)
    return line


@shared_task
def noted_after(result: Any, name: str) -> Any:
    """A callback: what it is called with is a line."""
    note(name, str(result))
    return result


@shared_task
def fail(*_: Any, message: str = "no") -> NoReturn:
    raise ValueError(message)


@shared_task
def errback(request: Any, error: Exception, traceback: Any, name: str) -> None:  # noqa: ARG001 - Celery's signature
    """As Celery calls an errback that it finds in the worker: with the failed task's request, in its process."""
    note(name, f"{request.id} {type(error).__name__} {error}")


@shared_task
def old_errback(task_id: str, name: str) -> None:
    """As Celery sends an errback of one argument: as a task, with the id of the one that failed."""
    note(name, task_id)


@app.task(bind=True)
def about(self: Task[Any, Any]) -> dict[str, Any]:
    """What a bound task sees of itself."""
    request: Any = self.request
    return {
        "id": request.id,
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "retries": request.retries,
        "tag": request.delivery_info["routing_key"],
        "priority": request.delivery_info["priority"],
        "tenant": taglane.current_tenant(),
        "header": request.headers.get("x-colour") if request.headers else None,
    }


@shared_task
def tenant_below(depth: int) -> Any:
    """Send a task that sends a task, and so on; the last one notes its tenant."""
    return taglane.current_tenant() if depth == 0 else tenant_below.delay(depth - 1).id


@shared_task
def send_as(tenant: str) -> str:
    """Try to send for another tenant."""
    with taglane.tenant(tenant):
        return str(add.delay(1, 2).id)


@app.task(bind=True, max_retries=5)
def retry_until(self: Task[Any, Any], name: str, attempts: int) -> list[int]:
    """Ask to be retried until it has been called *attempts* times."""
    count = note(name)
    if count < attempts:
        raise self.retry(countdown=0.02)
    return [count, self.request.retries]


@app.task(bind=True, max_retries=2, default_retry_delay=0)
def retry_in_vain(self: Task[Any, Any], name: str) -> NoReturn:
    note(name)
    raise self.retry(exc=KeyError("gone"))


@app.task(bind=True, max_retries=1)
def retry_slowly(self: Task[Any, Any]) -> NoReturn:
    raise self.retry(exc=OSError("later"), countdown=60)


@app.task(bind=True, max_retries=5)
def retry_and_return(self: Task[Any, Any], name: str) -> int:
    """Ask to be retried without raising, and go on to the end."""
    count = note(name)
    if count == 1:
        self.retry(countdown=0, throw=False)
    return count


@app.task(autoretry_for=(OSError,), max_retries=5, default_retry_delay=0)
def flaky(name: str, attempts: int) -> int:
    count = note(name)
    if count < attempts:
        raise OSError(name)
    return count


@app.task(autoretry_for=(OSError,), max_retries=5, retry_backoff=True, retry_backoff_max=0, retry_jitter=True)
def flaky_with_backoff(name: str, attempts: int) -> int:
    count = note(name)
    if count < attempts:
        raise OSError(name)
    return count


@app.task(ignore_result=True)
def quiet(name: str) -> str:
    note(name)
    return "nobody keeps this"


@app.task(bind=True)
def with_progress(self: Task[Any, Any], gate: str) -> str:
    self.update_state(state="PROGRESS", meta={"done": 40})
    wait_for(gate)
    return "done"


@app.task(track_started=True)
def hold(gate: str) -> str:
    wait_for(gate)
    return "let go"


@app.task(bind=True)
def reject(self: Task[Any, Any], name: str, *, requeue: bool) -> int:  # noqa: ARG001 - bound, as those are that reject
    count = note(name)
    if count == 1 or not requeue:
        raise Reject("not by me", requeue=requeue)
    return count


@app.task
def ignored(name: str) -> NoReturn:
    note(name)
    raise Ignore


@app.task(bind=True)
def ignored_with_state(self: Task[Any, Any]) -> NoReturn:
    """The way of Celery's documentation to fail a task by hand."""
    error = {"exc_type": "ValueError", "exc_message": ["by hand"], "exc_module": "builtins"}
    self.update_state(state="FAILURE", meta=error)
    raise Ignore


@app.task(bind=True)
def replaced(self: Task[Any, Any], kind: str) -> Any:
    by = {
        "task": add.s(1, 2),
        "chain": chain(add.s(1, 2), multiply.s(10)),
        "group": group(add.s(1, 2), add.s(3, 4)),
        "chord": chord([add.s(1, 2), add.s(3, 4)], total.s()),
    }
    return self.replace(by[kind])


@app.task(bind=True)
def grown(self: Task[Any, Any], x: int) -> Any:
    """Add to the chord that it is a part of."""
    return self.add_to_chord(add.s(x, 1)) and x


@app.task
def slow(seconds: float, name: str) -> str:
    """Go on for so long; note how it ended."""
    try:
        time.sleep(seconds)
    except SoftTimeLimitExceeded:
        note(name, "soft")
        raise
    note(name, "end")
    return "end"


@shared_task
def types() -> dict[str, Any]:
    return {"at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "sum": Decimal("1.10"), "id": UUID(int=7)}


@shared_task
def type_names(**values: Any) -> dict[str, str]:
    return {name: type(value).__name__ for name, value in values.items()}


@shared_task
def not_json() -> object:
    return object()


@shared_task
def parent(numbers: list[int]) -> list[str]:
    """Send children, and return their ids."""
    return [add.delay(number, 1).id for number in numbers]


@app.task(acks_late=False)
def acked_early() -> str:
    return "once"


@app.task(bind=True)
def die(self: Task[Any, Any], name: str) -> NoReturn:  # noqa: ARG001
    """Take its process along, as what runs out of memory does."""
    note(name)
    os._exit(1)


@app.task(acks_late=False)
def die_early(name: str) -> NoReturn:
    note(name)
    os._exit(1)


@app.task
def with_defaults(*args: Any) -> list[Any]:
    """Routed by the application."""
    return list(args)
