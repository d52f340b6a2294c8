"""The result backend: what Celery stores of a task is noted for the run's end, what it reads is the run.

A final result is not written here but carried to the process that holds the lease (`carry`, `holdings`), which writes
it together with the end of the run. What others wait for at once (`update_state`, STARTED) is written at once, fenced.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from celery import states
from celery.backends.base import Backend as CeleryBackend
from celery.backends.base import SyncBackendMixin
from celery.exceptions import TaskRevokedError, TimeoutError, WorkerLostError  # noqa: A004 - Celery's own names
from kombu.exceptions import EncodeError
from kombu.utils.json import JSONEncoder, dumps, loads

from taglane.errors import TenantMissing
from taglane.model import envelope
from taglane.model.names import tag_of_queue, tenant_of_run
from taglane.runtime import current
from taglane.runtime.carry import KINDS, Outcome, current_carry, error_fields, last_of, shortened, told
from taglane.runtime.publisher import JOIN, reachable_tenant, server_for
from taglane.settings import load_settings
from taglane.store import keys
from taglane.store.runs import Runs
from taglane.store.server import tenant_of_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.store.server import Server

STATES = {
    "scheduled": states.PENDING,
    "queued": states.PENDING,
    "running": states.STARTED,
    "retrying": states.RETRY,
    "succeeded": states.SUCCESS,
    "failed": states.FAILURE,
    "dead": states.FAILURE,
    "cancelled": states.REVOKED,
    "expired": states.REVOKED,
    "skipped": states.REVOKED,
    "replaced": states.PENDING,
}
"""What our states are called in Celery."""

_encode = JSONEncoder(separators=(",", ":"), allow_nan=False).encode

_READ = ("state", "result", "error", "progress", "finished_at", "task")


@lru_cache(maxsize=1)
def result_limit() -> int:
    """The most bytes of a result."""
    return load_settings().result_limit


class Backend(CeleryBackend, SyncBackendMixin):
    """Results in the runs themselves."""

    supports_autoexpire = True
    persistent = True

    def __init__(self, app: Any, url: str | None = None, **kwargs: Any) -> None:
        super().__init__(app, url=url, **kwargs)
        self._server_url: str = app.conf.broker_transport_options["secret_url"]

    @property
    def server(self) -> Server:
        """The server, in this process."""
        return server_for(self._server_url)

    def as_uri(self, include_password: bool = False) -> str:
        """Say what it is; never where, since that holds a password."""
        return "taglane://"

    def encode(self, data: Any) -> str:
        """Return JSON, by kombu's encoder, without its detours: this is called once a run.

        Raises:
            kombu.exceptions.EncodeError: it can't be said in JSON, as NaN and Infinity can't, which others don't read.
        """
        try:
            return str(_encode(data))
        except (TypeError, ValueError) as error:
            raise EncodeError(str(error)) from error
        except RecursionError as error:
            raise EncodeError("it is nested too deep") from error

    def store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        """Note a result; see Celery's. A repetition on errors is the sender's business."""
        result = self.encode_result(result, state)
        return self._store_result(task_id, result, state, traceback, request, **kwargs)

    # -- writing -------------------------------------------------------------------------------------------------

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **_: Any
    ) -> Any:
        kind = KINDS.get(state)
        text = self._outcome_text(result, state, traceback, request)
        carry = current_carry()
        mine = carry is not None and task_id == carry.message_id
        if carry is not None and mine and (kind or state == states.RETRY):
            carry.state, carry.result = (state if kind else ""), text
        elif kind:
            held = current.holdings()
            noted = "dead" if _is(WorkerLostError, result) else kind  # what the parent says of a child that died
            if held is None or not held.note(task_id, Outcome(noted, text)):
                self._record(task_id, kind, text, request)
        elif carry is not None and mine:
            self._progress(carry.run.id, carry.run.token, state, result)
        elif (held := current.holdings()) and (lease := held.lease_of(task_id)):
            self._progress(*lease, state, result)
        return result

    def mark_as_revoked(
        self,
        task_id: str,
        reason: str = "",
        request: Any = None,
        store_result: bool = True,
        state: str = states.REVOKED,
    ) -> None:
        """Tell those who depend on a task that was stopped while it ran, as they are told of one that waited."""
        super().mark_as_revoked(task_id, reason, request, store_result, state)
        if request is None:
            return
        error = TaskRevokedError(reason)
        self._fail_chain(getattr(request, "chain", None), error, store_result=store_result)
        if request.errbacks:
            self._call_task_errbacks(request, error, None)

    def _outcome_text(self, result: Any, state: str, traceback: Any, request: Any) -> str:
        failed = state in self.EXCEPTION_STATES
        outcome: dict[str, Any] = {"e": told(result)} if failed else {"r": result}
        if failed and traceback:
            outcome["tb"] = last_of(str(traceback))
        children = self.current_task_children(request)
        if children:
            outcome["c"] = children
        text = str(self.encode(outcome))
        if len(text) <= result_limit():
            return text
        if not failed:
            raise _too_large(text)
        message = [shortened(str(part)) for part in result.get("exc_message") or ()]
        return str(self.encode({**outcome, "e": {**result, "exc_message": message}}))

    def _progress(self, run: str, token: int, state: str, meta: Any) -> None:
        tenant = self._tenant(run)
        self.server.call("progress", tenant, run, token, self.encode({"s": state, "r": meta}))

    def _record(self, task_id: str, kind: str, text: str, request: Any) -> None:
        tenant = self._tenant(task_id)
        task = getattr(request, "task", None) or ""
        self.server.call("record", tenant, task_id, kind, text, task, tenant)

    # -- chords --------------------------------------------------------------------------------------------------

    def apply_chord(self, header_result_args: Any, body: Any, **_: Any) -> None:
        """Register, before the header is sent, the run that will join its parts and send the body."""
        group_id, results = header_result_args[0], header_result_args[1]
        tenant = self._tenant(group_id)
        call: dict[str, Any] = {"group": group_id, "body": loads(dumps(body))}
        if any(_members(result) is not None for result in results):
            call["shape"] = _shape(results)
        default_queue = self.app.conf.task_default_queue
        tag = tag_of_queue(tenant, body.options.get("queue") or default_queue, default_queue)
        step = keys.step_of(body.options.get("priority"))
        join = f"{group_id}{JOIN}"
        self.server.call("chord", tenant, group_id, join, envelope.JOIN_TASK, tag, step, envelope.of_call(call))

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Say how many parts there are: Celery counts them as it sends them, and tells before it sends the last."""
        self.server.call("chord_size", self._tenant(group_id), group_id, chord_size)

    def add_to_chord(self, chord_id: str, result: Any) -> None:
        """Let a chord wait for one part more."""
        self.server.call("chord_size", self._tenant(chord_id), chord_id, "+1")

    def on_chord_part_return(self, request: Any, state: str, result: Any, **_: Any) -> None:
        """Note a part's outcome with the end of its run; at once for one that no worker executes."""
        group = request.group
        if not group or not request.id:
            return
        place = f"{'' if request.group_index is None else request.group_index}:{request.id}"
        outcome = self.encode({"s": state, "r": self.encode_result(result, state), "id": request.id})
        if len(outcome) > result_limit():  # of a task that keeps no result
            if state not in self.EXCEPTION_STATES:
                raise _too_large(outcome)
            error = error_fields(type(result), [shortened(str(result))])
            outcome = self.encode({"s": state, "r": error, "id": request.id})
        part = f"{place} {group} {outcome}"
        carry = current_carry()
        held = current.holdings()
        if carry is not None and request.id == carry.message_id:
            carry.part = part
        elif held is None or not held.note(request.id, Outcome(KINDS.get(state, "failed"), part=part)):
            self.server.call("part", self._tenant(group), group, place, outcome)

    def chord_parts(self, tenant: str, group: str) -> list[dict[str, Any]]:
        """The outcomes of a chord's parts, by their places: ``s`` state, ``r`` result or error, ``id``."""
        with self.server.renamed(f"reading chord {group}"):
            fields = self.server.redis.hgetall(keys.chord(tenant, group))
        parts = []
        for name, outcome in fields.items():
            if name.startswith(b"part:"):
                place = name.split(b":", 2)[1]
                parts.append((int(place) if place else sys.maxsize, self.decode(outcome.decode())))
        parts.sort(key=lambda part: part[0])
        return [part for _, part in parts]

    # -- reading -------------------------------------------------------------------------------------------------

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        with self.server.renamed(f"reading run {task_id}"):
            values = self.server.redis.hmget(keys.run(self._tenant(task_id), task_id), _READ)
        return self._meta(task_id, *(value.decode() if value is not None else "" for value in values))

    def _meta(  # noqa: PLR0913 - the fields of a run, as read
        self, task_id: str, state: str, result: str, error: str, progress: str, finished_at: str, task: str
    ) -> dict[str, Any]:
        celery_state = STATES.get(state, states.PENDING)
        outcome = self.decode(result) if result else {}
        value, children = outcome.get("r"), outcome.get("c")
        if state == "running" and progress:
            said = self.decode(progress)
            celery_state, value = said["s"], said["r"]
        if celery_state in self.EXCEPTION_STATES:
            if error and not _is(TaskRevokedError, outcome.get("e")):
                outcome = {}  # of an earlier attempt: the server's words overrule it, but not Celery's of this very end
            value = self.exception_to_python(outcome["e"]) if "e" in outcome else _server_error(state, error)
        return {
            "task_id": task_id,
            "status": celery_state,
            "result": value,
            "traceback": outcome.get("tb"),
            "children": children or [],
            "date_done": _iso(finished_at),
            "name": task or None,
        }

    def wait_for(
        self, task_id: str, timeout: Any = None, interval: Any = 0.5, no_ack: bool = True, on_interval: Any = None
    ) -> Any:
        """Wait until the run has ended; woken when it does.

        Raises:
            celery.exceptions.TimeoutError: it still goes on.
        """
        self._ensure_not_eager()
        tenant = self._tenant(task_id)
        deadline = None if timeout is None else time.monotonic() + timeout
        Runs(self.server).until_ended(keys.run(tenant, task_id), keys.done(tenant, task_id), deadline)
        meta = self.get_task_meta(task_id)
        if meta["status"] not in states.READY_STATES:
            msg = "The operation timed out."
            raise TimeoutError(msg)
        return meta

    def get_many(
        self, task_ids: Any, timeout: Any = None, on_message: Any = None, **_: Any
    ) -> Iterator[tuple[str, Any]]:
        """Yield id and meta of each run as they are asked for, waiting for each."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for task_id in task_ids:
            meta = self.wait_for(task_id, None if deadline is None else max(0.0, deadline - time.monotonic()))
            if on_message is not None:
                on_message(meta)
            yield task_id, meta

    def _forget(self, task_id: str) -> None:
        with self.server.renamed(f"forgetting run {task_id}"):
            self.server.redis.hdel(keys.run(self._tenant(task_id), task_id), "result")

    # -- saved groups ----------------------------------------------------------------------------------------------

    def _save_group(self, group_id: str, result: Any) -> Any:
        with self.server.renamed(f"saving group {group_id}"):
            text = self.encode({"result": result.as_tuple()})
            self.server.redis.set(keys.group(self._tenant(group_id), group_id), text, ex=int(self.expires or 86_400))
        return result

    def _restore_group(self, group_id: str) -> dict[str, Any] | None:
        from celery.result import result_from_tuple  # noqa: PLC0415 - Celery's results import the backends

        with self.server.renamed(f"reading group {group_id}"):
            text = self.server.redis.get(keys.group(self._tenant(group_id), group_id))
        if text is None:
            return None
        return {"result": result_from_tuple(self.decode(text.decode())["result"], self.app)}

    def _delete_group(self, group_id: str) -> None:
        with self.server.renamed(f"deleting group {group_id}"):
            self.server.redis.delete(keys.group(self._tenant(group_id), group_id))

    def _tenant(self, task_id: str) -> str:
        tenant = tenant_of_url(self._server_url) or tenant_of_run(task_id) or reachable_tenant(self._server_url)
        if tenant is None:
            raise TenantMissing(f"the result of {task_id}")
        return tenant

    def __reduce__(self, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        return super().__reduce__(args, {**(kwargs or {}), "url": self.url})


def _too_large(text: str) -> EncodeError:
    """The error for a result over the limit; Celery makes a failure of it, as of a result that is not JSON."""
    why = f"the result takes {len(text)} bytes, over the limit of {result_limit()} (TAGLANE_RESULT_LIMIT)"
    error: EncodeError = EncodeError(why)
    return error


def _members(result: Any) -> list[Any] | None:
    members: list[Any] | None = getattr(result, "results", None)
    return members


def _shape(results: list[Any]) -> list[Any]:
    """The ids of a header's results, nested as its groups are: so the body gets lists of lists, as from Celery."""
    return [result.id if (members := _members(result)) is None else _shape(members) for result in results]


def _is(kind: type[Exception], error: Any) -> bool:
    return isinstance(error, dict) and error.get("exc_type") == kind.__name__


def _server_error(state: str, error: str) -> Exception:
    """The exception for a run that the server ended itself."""
    if state == "failed":
        return RuntimeError(error or "it failed, and its error is not kept any more")
    kind: type[Exception] = WorkerLostError if state == "dead" else TaskRevokedError
    return kind(error or state)


def _iso(milliseconds: str) -> str | None:
    if not milliseconds:
        return None
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).isoformat()
