"""Reads what runs were called with, and makes such a call again with other params. Script: enqueue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.errors import BadName, BadParams, NotReplayable, RunNotFound, ServerUnavailable
from taglane.model import envelope
from taglane.model.names import check_run_id, new_run_id, tenant_of_run
from taglane.model.params import check_params
from taglane.model.run import ENDED, read_outcome
from taglane.store import keys
from taglane.store.runs import NewRun, Runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taglane.store.server import Server

LARGEST = 16_777_216
"""Bytes of a run's record; one that is larger is nobody's but a vandal's, and is not read."""

MOST_CHILDREN = 50

_LONG = ("envelope", "result", "error", "progress", "tries")
_READ = ("state", "task", "tag", "envelope", "result", "progress")


@dataclass(frozen=True, slots=True)
class Call:
    """What a run was called with, and which runs it belongs to. A tenant may have written anything into it."""

    args: list[Any] | None
    """The positional arguments; None where they are not kept, as after a success, or can't be read."""
    params: dict[str, Any] | None
    """The keyword arguments; likewise."""
    progress: Any = None
    """What the task last said of its state, ``{"s": state, "r": meta}``; None when it said nothing."""
    root: str | None = None
    """The run with which the chain, the group or the tree of calls began."""
    parent: str | None = None
    """The run whose task called it."""
    children: tuple[str, ...] = ()
    """The runs that its task called, fifty at most."""


class Calls:
    """The calls of every run that the server's credential reaches."""

    def __init__(self, server: Server, payload_limit: int = 1_048_576) -> None:
        self._server = server
        self._payload_limit = payload_limit

    def get(self, run_id: str, tenant: str | None = None) -> Call:
        """Return what a run was called with.

        Raises:
            RunNotFound: it is not kept, or never was.
            ServerUnavailable: its record is too large, or spoiled.
        """
        found = self._read(run_id, self._owner(run_id, tenant))
        packed = _object(found.get("envelope"))
        args, params = _body(packed)
        headers = packed.get("h")
        headers = headers if isinstance(headers, dict) else {}
        return Call(
            args,
            params,
            progress=_json(found.get("progress")),
            root=_other(headers.get("root_id"), run_id),
            parent=_other(headers.get("parent_id"), run_id),
            children=tuple(_children(read_outcome(found.get("result")).get("c"))),
        )

    def again(self, run_id: str, params: Mapping[str, Any], tenant: str | None = None) -> str:
        """Make a new run of the same task and tag with other *params*; return its id.

        Its positional arguments, priority, retry policy and time limits are the run's; nothing follows it: it is no
        link of the run's chain, and belongs to no job.

        Raises:
            RunNotFound: the run is not kept.
            NotReplayable: what it was called with is not kept.
            BadParams: *params* are no JSON object, or over the limit.
            OverLimit: a limit of the tenant is in the way.
        """
        owner = self._owner(run_id, tenant)
        found = self._read(run_id, owner)
        packed = _object(found.get("envelope"))
        args, _ = _body(packed)
        if args is None:
            state = _text(found.get("state"))
            raise NotReplayable(run_id, state, is_ended=state in ENDED)
        text = _same_call(packed, args, check_params(params))
        if (size := len(text.encode())) > self._payload_limit:
            raise BadParams(f"params take {size} bytes: the limit is {self._payload_limit} (TAGLANE_PAYLOAD_LIMIT)")
        priority = _object_in(packed, "p").get("priority")
        step = keys.step_of(priority) if type(priority) is int and 0 <= priority <= 9 else 0
        made = NewRun(new_run_id(owner), _text(found.get("task")), _text(found.get("tag")), text, step)
        ((new_id, _),) = Runs(self._server).make(owner, [made])
        return new_id

    def _read(self, run_id: str, owner: str) -> dict[str, bytes]:
        key = keys.run(owner, run_id)
        with self._server.renamed(f"reading run {run_id}"):
            pipeline = self._server.redis.pipeline(transaction=False)
            for field in _LONG:
                pipeline.hstrlen(key, field)
            size = sum(pipeline.execute())
            if size > LARGEST:
                raise ServerUnavailable(f"the record of run {run_id} takes {size} bytes, and is not read")
            values = self._server.redis.hmget(key, _READ)
        found = {name: value for name, value in zip(_READ, values, strict=True) if value is not None}
        if "state" not in found:
            raise RunNotFound(run_id)
        return found

    def _owner(self, run_id: str, tenant: str | None) -> str:
        found = tenant or tenant_of_run(check_run_id(run_id)) or self._server.tenant
        if found is None:
            raise RunNotFound(run_id)
        return found


def _same_call(packed: Mapping[str, Any], args: list[Any], params: dict[str, Any]) -> str:
    new = json.loads(envelope.of_call({}))
    new["b"] = json.dumps([args, params, {}], separators=(",", ":"), ensure_ascii=False)
    limits = _object_in(packed, "h").get("timelimit")
    if isinstance(limits, list):
        new["h"] = {"timelimit": limits}
    for name in "pr":
        if kept := _object_in(packed, name):
            new[name] = kept
    return json.dumps(new, separators=(",", ":"), ensure_ascii=False)


def _body(packed: Mapping[str, Any]) -> tuple[list[Any] | None, dict[str, Any] | None]:
    body = _json(packed.get("b"))
    if not isinstance(body, list) or len(body) != 3:
        return None, None
    args, params, _ = body
    return (args, params) if isinstance(args, list) and isinstance(params, dict) else (None, None)


def _children(told: Any) -> Iterator[str]:
    """Yield the ids in what a worker wrote of a run's children: pairs of ``[id, parent]`` and more such pairs."""
    left: list[Any] = [told]
    found: set[str] = set()
    for _ in range(10 * MOST_CHILDREN):
        if not left or len(found) >= MOST_CHILDREN:
            return
        value = left.pop()
        if isinstance(value, list):
            left += reversed(value[:MOST_CHILDREN])
        elif (run_id := _other(value, "")) and run_id not in found:
            found.add(run_id)
            yield run_id


def _other(value: Any, own: str) -> str | None:
    """Return the id of a run that is not the run itself; None for whatever else."""
    try:
        return check_run_id(value) if isinstance(value, str) and value != own else None
    except BadName:
        return None


def _object(text: bytes | None) -> dict[str, Any]:
    value = _json(text)
    return value if isinstance(value, dict) else {}


def _object_in(packed: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = packed.get(name)
    return value if isinstance(value, dict) else {}


def _json(text: Any) -> Any:
    if not isinstance(text, (bytes, str)) or not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
