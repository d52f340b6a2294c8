"""The two tasks of our own that every worker knows: joining a chord, and telling how the server ended a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.canvas import maybe_signature
from celery.exceptions import ChordError, TaskRevokedError, WorkerLostError
from celery.states import SUCCESS

from taglane.context import current_tenant
from taglane.model.envelope import ENDED_TASK, HEADER, JOIN_TASK
from taglane.model.run import describe_error

if TYPE_CHECKING:
    from celery import Celery


def add_tasks(app: Celery) -> None:
    """Add them to *app*."""

    @app.task(name=JOIN_TASK, shared=False, lazy=False, ignore_result=True)
    def join(group: str, body: dict[str, Any]) -> None:
        """Collect the parts of a chord, and send its body: or fail it, when one of them failed."""
        parts = app.backend.chord_parts(current_tenant() or "", group)
        callback = maybe_signature(body, app=app)
        failed = next((part for part in parts if part["s"] != SUCCESS), None)
        if failed is None:
            callback.delay([part["r"] for part in parts])
            return
        _fail(app, callback, f"Dependency {failed['id']} raised {describe_error(failed['r'])}")

    @app.task(name=ENDED_TASK, shared=False, lazy=False, bind=True, ignore_result=True)
    def ended(self: Any, *_: Any, **kwargs: Any) -> None:
        """Raise what ended the run: Celery then calls its errbacks, fails its chain, and counts it in its chord."""
        header = getattr(self.request, HEADER)
        if header["task"] == JOIN_TASK:
            _fail(app, maybe_signature(kwargs["body"], app=app), f"its parts were never joined: {header['ended']}")
            return
        kind = WorkerLostError if header["ended"] == "dead" else TaskRevokedError
        raise kind(f"{header['task']} {header['ended']}")


def _fail(app: Celery, callback: Any, reason: str) -> None:
    app.backend.chord_error_from_stack(callback, exc=ChordError(reason))
