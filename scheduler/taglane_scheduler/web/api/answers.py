"""Writes answers: JSON that any parser takes, and what went wrong as RFC 9457 has it (problem+json)."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from taglane import errors

from taglane_scheduler.web.app import status_of

if TYPE_CHECKING:
    from taglane_scheduler.access.principal import Principal

DEEPEST = 100
"""Levels of a result that are told, where it has more than JSON's writers take."""

_ARTICLES = re.compile(r"(?<!^)(?=[A-Z])")


def written(value: Any) -> bytes:
    """Return a value as JSON, in ASCII: what a task has said can neither fail to be encoded nor be more than JSON."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return json.dumps(_plain(value, DEEPEST), allow_nan=False, separators=(",", ":")).encode()


def answer(value: Any, status: int = 200) -> Response:
    """Return an answer of JSON; of None, one without a body."""
    if value is None:
        return Response(status_code=204)
    return Response(written(value), status, media_type="application/json")


def problem(status: int, title: str, detail: str, *, kind: str = "", **more: Any) -> Response:
    """Return what went wrong; *kind* tells it from others, for programs."""
    said = {"type": f"urn:taglane-problem:{kind}" if kind else "about:blank", "title": title, "status": status}
    told = {name: value for name, value in more.items() if value not in (None, "")}
    headers = {}
    if wait := more.get("retry_after"):
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="taglane"'
    content = written({**said, "detail": detail[:4_000], **told})
    return Response(content, status, headers, media_type="application/problem+json")


def problem_of(error: errors.TaglaneError, principal: Principal | None = None) -> Response:
    """Return what an error says; who sees one tenant is not told of the server behind it."""
    status = getattr(error, "status", None) or status_of(error)
    detail = str(error)
    if isinstance(error, errors.OtherTenant):
        status, detail, error = 404, "there is no such thing", errors.NotFound()
    if isinstance(error, errors.ServerUnavailable) and (principal is None or principal.tenant is not None):
        detail = "the server gives no answer that we can use: try again in a moment"
    words = _ARTICLES.sub(" ", type(error).__name__).lower()
    return problem(
        status,
        words[:1].upper() + words[1:],
        detail,
        kind=words.replace(" ", "-"),
        field=_field_of(error),
        position=getattr(error, "position", None),
        line=getattr(error, "line", None),
        column=getattr(error, "column", None),
        retry_after=getattr(error, "retry_after", 1 if status in {429, 503} else None),
    )


def _field_of(error: errors.TaglaneError) -> str | None:
    """Return the field that an error is about."""
    match error:
        case errors.BadName():
            return error.kind
        case errors.BadLimit():
            return error.name
        case errors.BadQuery():
            return "query"
        case errors.BadSchedule():
            found = re.match(r"([a-z_.]{1,40})(?::| must | is )", str(error))
            return found[1] if found else None
        case errors.BadParams():
            found = re.match(r"(params|after|count|delay|expires|key|priority)", str(error))
            return found[1] if found else None
        case errors.TagNotOwned():
            return "tag"
    found_field = getattr(error, "field", None)
    return found_field if isinstance(found_field, str) else None


def _plain(value: Any, depth: int) -> Any:
    """Return a value that JSON can say: without what is no number, and without what is too deep."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict | list | tuple) and depth == 0:
        return "…"
    if isinstance(value, dict):
        return {str(key): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    return value
