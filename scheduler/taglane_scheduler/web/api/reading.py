"""Reads what a request brings into a route's models, and says of a mistake which field it is in."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from taglane.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 4_000_000
"""Bytes of a body: a jobs file of some ten thousand jobs, or the params of one run, several times over."""

MEDIA = "application/json"


class NotJson(CallerError):
    """A body that is no JSON, or says so of itself."""

    status = 400

    def __init__(self, why: str) -> None:
        super().__init__(f"the body is no JSON: {why}")


class WrongMedia(CallerError):
    """A body of another kind."""

    status = 415

    def __init__(self, media: str) -> None:
        super().__init__(f"Content-Type {media[:100]!r} can't be: it must be {MEDIA}")


class TooLarge(CallerError):
    """A body over the limit."""

    status = 413

    def __init__(self) -> None:
        super().__init__(f"the body is longer than {LONGEST} bytes")


class BadField(CallerError):
    """A field of the body or the query that can't be so."""

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        super().__init__(f"{field}: {why}" if field else why)


def read_body(model: type[BaseModel], media: str, content: bytes) -> BaseModel:
    """Return what a body says; an empty one says `{}`.

    Raises:
        WrongMedia: it is of another kind than JSON.
        NotJson: it is none.
        BadField: a field can't be so, is missing, or is none that there is.
    """
    if not content:
        return _checked(model, {})
    if media.partition(";")[0].strip().lower() != MEDIA:
        raise WrongMedia(media)
    try:
        said = json.loads(content, parse_constant=_no_constant)
    except RecursionError as error:
        raise NotJson("it is nested too deep") from error
    except ValueError as error:
        raise NotJson(str(error)) from error
    if not isinstance(said, dict):
        raise BadField("", "the body must be a JSON object")
    return _checked(model, said)


def read_query(model: type[BaseModel] | None, pairs: Sequence[tuple[str, str]]) -> BaseModel | None:
    """Return what a query says, None for a route that takes none.

    Raises:
        BadField: a field can't be so, is there twice, or is none that there is.
    """
    said: dict[str, str] = {}
    for name, value in pairs:
        if name in said:
            raise BadField(name, "is there twice")
        said[name] = value
    if model is None:
        if said:
            raise BadField(next(iter(said)), "there is no such field, and none other")
        return None
    return _checked(model, said)


def _checked(model: type[BaseModel], said: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(said)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        first = min(found, key=lambda each: each["type"] != "extra_forbidden")  # a typo, not what it lacks
        field = ".".join(str(place) for place in first["loc"])[:200]
        if first["type"] == "extra_forbidden":
            raise BadField(field, _unknown(model, field)) from error
        raise BadField(field, first["msg"].removeprefix("Value error, ")) from error
    except RecursionError as error:
        raise BadField("", "the body is nested too deep") from error


def _unknown(model: type[BaseModel], field: str) -> str:
    known = list(model.model_fields)
    near = get_close_matches(field, known, n=1)
    if near:
        return f"there is no such field: did you mean {near[0]!r}?"
    return (
        f"there is no such field; there are {', '.join(known)}" if known else "there is no such field, and none other"
    )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
