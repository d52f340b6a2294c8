"""The two tasks of our own that every worker knows: joining a chord, and telling how the server ended a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.app.task import Context
from celery.canvas import _chain as chain
from celery.canvas import chord, group, maybe_signature
from celery.exceptions import ChordError, TaskRevokedError, WorkerLostError
from celery.states import FAILURE, SUCCESS

from taglane.context import current_tenant
from taglane.errors import CallerError
from taglane.model.envelope import ENDED_TASK, HEADER, JOIN_TASK
from taglane.model.run import describe_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery


def add_tasks(app: Celery) -> None:
    """Add them to *app*, once."""
    if JOIN_TASK in app._tasks:  # noqa: SLF001 - `tasks` would finalise the application
        return

    @app.task(name=JOIN_TASK, shared=False, lazy=False, ignore_result=True)
    def join(group: str, body: dict[str, Any], shape: list[Any] | None = None) -> None:
        """Collect the parts of a chord, and send its body: or fail it, when one of them failed."""
        parts = app.backend.chord_parts(current_tenant() or "", group)
        callback = maybe_signature(body, app=app)
        failed = next((part for part in parts if part["s"] != SUCCESS), None)
        if failed is not None:
            cause = app.backend.exception_to_python(failed["r"])
            _fail(app, callback, f"Dependency {failed['id']} raised {describe_error(failed['r'])}", cause)
            return
        try:
            callback.delay(_arranged(parts, shape))
        except CallerError as error:  # it can't be sent, however often: its results are too large, perhaps
            _fail(app, callback, f"Callback error: {error}", error)

    # It keeps its result, or Celery would tell nothing to the links behind it; and it is expected to raise.
    @app.task(name=ENDED_TASK, shared=False, lazy=False, bind=True, throws=(TaskRevokedError, WorkerLostError))
    def ended(self: Any, *_: Any, **kwargs: Any) -> None:
        """Raise what ended the run: Celery then calls its errbacks, fails its chain, and counts it in its chord."""
        header = getattr(self.request, HEADER)
        if header["task"] == JOIN_TASK:
            _fail(app, maybe_signature(kwargs["body"], app=app), f"its parts were never joined: {header['ended']}")
            return
        if header["ended"] == "failed":  # without the task: nobody knows it, or it was rejected
            raise app.backend.get_task_meta(self.request.id, cache=False)["result"]
        kind = WorkerLostError if header["ended"] == "dead" else TaskRevokedError
        raise kind(f"{header['task']} {header['ended']}")


def _arranged(parts: list[dict[str, Any]], shape: list[Any] | None) -> list[Any]:
    """The parts' results, nested as the header's groups are; without a shape in the order of the parts."""
    results = {part["id"]: part["r"] for part in parts}

    def arrange(ids: list[Any]) -> list[Any]:
        return [arrange(each) if isinstance(each, list) else results[each] for each in ids]

    try:
        return arrange(shape) if shape else [part["r"] for part in parts]
    except KeyError:  # a part that goes by another id
        return [part["r"] for part in parts]


def _fail(app: Celery, callback: Any, reason: str, cause: Exception | None = None) -> None:
    try:
        # The traceback is read off the stack, and the cause is what the errbacks of a group that is a body are given.
        raise ChordError(reason) from cause  # noqa: TRY301
    except ChordError as error:
        app.backend.chord_error_from_stack(callback, exc=error)
        for part in _parts_of(callback):
            app.backend.on_chord_part_return(part, FAILURE, error)


def _parts_of(body: Any) -> Iterator[Context]:
    """The parts of a chord around its own that a failed body is: Celery tells that one of the links behind it only."""
    if isinstance(body, group):
        for member in body.tasks:
            yield from _parts_of(member)
    elif isinstance(body, chain):
        yield from _parts_of(body.tasks[-1])
    elif isinstance(body, chord):
        yield from _parts_of(body.body)
    elif body.options.get("chord"):
        options = body.options
        yield Context(id=options.get("task_id"), group=options.get("group_id"), group_index=options.get("group_index"))
