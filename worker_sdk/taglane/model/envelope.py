"""What a run carries from its sender to its worker: a Celery message, less all that both ends know anyway.

An envelope is a JSON object: ``b`` the body as Celery serialises it (``[args, kwargs, embed]``), ``h`` the headers that
differ from their defaults, ``p`` such properties, ``r`` its job's retry policy, ``t`` the trace that it is part of. The
run's id, task, tag and times live beside it, in the run.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.errors import BadParams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taglane.model.retry import Retry

_dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_loads = json.JSONDecoder().decode
_dumps_strictly = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode

HEADER = "taglane"
"""The message header in which a worker finds what `Delivery` says."""

JOIN_TASK = "taglane.join"
"""The task that collects a chord's parts and sends its body."""

ENDED_TASK = "taglane.ended"
"""The task that tells those who depend on a run how the server ended it."""

TRACE_HEADERS = ("traceparent", "tracestate", "baggage")
"""The message headers by which a trace goes on."""

PREVIOUS = "taglane_previous"
"""The message header with the trace context of the attempt before."""

LONGEST_TRACE = 4_096
"""Characters that the trace headers of a run may take; of longer ones the first is kept alone."""

_OBJECTS = frozenset("hprt")

_TYPED = '"__type__"'
"""What kombu's JSON says in a value that is no plain one: such a body is left for kombu to read."""

_BARE_EMBED = re.compile(r'\{"callbacks": ?null, ?"errbacks": ?null, ?"chain": ?null, ?"chord": ?null\}\]$')
_NO_FAILURE_EMBED = re.compile(r'"errbacks": ?null, ?"chain": ?null, ?"chord": ?null\}\]$')

# Headers that the run itself holds, or that nobody reads: they don't travel.
_KNOWN = frozenset({"id", "task", "lang", "eta", "expires", "argsrepr", "kwargsrepr", "origin", HEADER})
# Values that a reader assumes when a header is absent.
_DEFAULTS: dict[str, Any] = {
    "retries": 0,
    "timelimit": [None, None],
    "stamps": {},
    "replaced_task_nesting": 0,
    "ignore_result": False,
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One lease of one run, as fetch hands it out."""

    run: str
    token: int
    envelope: bytes
    attempt: int
    tenant: str
    tag: str
    job: str
    due: int | None
    rescues: int
    ended: str
    """How the run `of` ended on the server: this one lets a worker tell those who depend on it. Or ''."""
    of: str
    task: str


def of_call(
    params: dict[str, Any], *, retry: Retry | None = None, timeout: int | None = None, soft_timeout: int | None = None
) -> str:
    """Return the envelope of a plain call: *params* are the task's keyword arguments, the time limits are in ms.

    Raises:
        BadParams: they are not JSON.
    """
    try:
        text = (
            f'{{"b":{_dumps(f"[[],{_dumps_strictly(params)},{{}}]")}}}'  # as JSON writes it, at half of what it takes
        )
        more: dict[str, Any] = {}
        if timeout or soft_timeout:
            more["h"] = {"timelimit": [_seconds(timeout), _seconds(soft_timeout)]}
        if retry is not None:
            more["r"] = retry.fields()
        if more:
            text = f"{text[:-1]},{_dumps(more)[1:]}"
        if not text.isascii():
            text.encode()  # half of a surrogate pair can't be sent
    except (TypeError, ValueError, RecursionError) as error:
        raise BadParams(f"params are not JSON: {error}") from error
    return text


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def pack(message: dict[str, Any], retry: Mapping[str, Any] | None = None) -> tuple[str, bool]:
    """Return the envelope of a message as kombu would publish it, and whether others depend on how the run ends.

    *retry* is the policy of the run whose next try the message is, as `Retry.fields` gives it.

    Raises:
        BadParams: it is serialised by something else than JSON.
    """
    if message.get("content-type") != "application/json":
        raise BadParams(
            f"a task was sent as {message.get('content-type')}: Taglane takes JSON only (task_serializer='json')"
        )
    body = message["body"]
    bare = _BARE_EMBED.search(body)
    depends = not bare and not _NO_FAILURE_EMBED.search(body)
    envelope: dict[str, Any] = {"b": body[: bare.start()] + "{}]" if bare else body}
    given = message["headers"]
    headers = {
        name: value
        for name, value in given.items()
        if value is not None and name not in _KNOWN and _DEFAULTS.get(name, ...) != value
    }
    if headers.get("root_id") == given["id"]:
        del headers["root_id"]
    if list(headers.get("timelimit", ())) == [None, None]:
        del headers["timelimit"]
    if headers:
        envelope["h"] = headers
    priority = message["properties"].get("priority")
    if priority:
        envelope["p"] = {"priority": priority}
    if retry:
        envelope["r"] = retry
    return _dumps(envelope), depends


def with_trace(envelope: str, carrier: Mapping[str, str]) -> str:
    """Return an envelope that carries a trace on, as fire.lua makes it, too."""
    if not carrier:
        return envelope
    if sum(map(len, carrier.values())) > LONGEST_TRACE:
        carrier = {name: text for name, text in carrier.items() if name == TRACE_HEADERS[0]}
    return f'{{"t":{_dumps(carrier)},{envelope[1:]}'


def next_try(envelope: bytes, previous: str = "") -> str:
    """Return the envelope of the next try of a run: it counts one try more, and is else the same.

    *previous* is the trace context of the try before, where it is traced.

    Raises:
        ValueError: the envelope is not readable.
    """
    again, _ = _read(envelope)
    headers = again.setdefault("h", {})
    headers["retries"] = int(headers.get("retries") or 0) + 1
    if previous:
        headers[PREVIOUS] = previous
    return _dumps(again)


def first_try(envelope: bytes) -> str:
    """Return the envelope of a run that is run anew: no try counts; '' where it is that already, or not readable."""
    try:
        anew, _ = _read(envelope)
    except ValueError:
        return ""
    return _dumps(anew) if anew.get("h", {}).pop("retries", 0) else ""


def unpack(delivery: Delivery) -> dict[str, Any]:
    """Return the message of a delivery, as kombu hands it to a consumer; `decoded` is its body, where that is known.

    Raises:
        ValueError: the envelope is not readable.
    """
    envelope, body = _read(delivery.envelope)
    run = delivery.of or delivery.run
    headers = {
        "root_id": run,
        **({name: text for name, text in envelope["t"].items() if name in TRACE_HEADERS} if "t" in envelope else {}),
        **envelope.get("h", {}),
        "id": run,
        "task": ENDED_TASK if delivery.ended else delivery.task,
        HEADER: {
            "run": delivery.run,
            "token": delivery.token,
            "tenant": delivery.tenant,
            "tag": delivery.tag,
            "job": delivery.job or None,
            "due": delivery.due,
            "attempt": delivery.attempt,
            "ended": delivery.ended,
            "task": delivery.task,
        },
    }
    if "r" in envelope and not delivery.ended:  # what tells of an end is not the run whose policy it is
        from taglane.model.retry import Retry  # noqa: PLC0415 - of few jobs, and pydantic's models are large

        headers[HEADER]["retry"] = Retry.from_fields(envelope["r"]).fields()
    if "h" not in envelope and "t" not in envelope:  # else Celery looks for headers of the application's own
        headers["headers"] = {HEADER: headers[HEADER]}
    properties = {
        "priority": 0,
        **envelope.get("p", {}),
        "delivery_tag": f"{delivery.token}:{delivery.run}",
        "delivery_info": {"exchange": "", "routing_key": delivery.tag, "redelivered": delivery.rescues > 0},
        "correlation_id": run,
        "reply_to": None,
    }
    return {
        "body": envelope["b"],
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": headers,
        "properties": properties,
        "decoded": None if _TYPED in envelope["b"] else body,
    }


def _read(text: bytes) -> tuple[dict[str, Any], list[Any]]:
    """Read an envelope and its body. A tenant may have written it: Celery's pools take that on trust, and may hang."""
    try:
        envelope = _loads(text.decode("utf-8", "surrogatepass"))
        if not isinstance(envelope, dict) or not isinstance(envelope.get("b"), str):
            raise ValueError("it is no object with a body")  # noqa: TRY004 - a stored text, not a type
        for name, value in envelope.items():
            if name in _OBJECTS and not isinstance(value, dict):
                raise ValueError("its headers, properties, retry policy or trace are no object")
        body = _loads(envelope["b"])
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(body, list) or [type(part) for part in body] != [list, dict, dict]:
        raise ValueError("its body is not [positional arguments, keyword arguments, what follows]")
    return envelope, body
