"""Checks a task's keyword arguments where they come in: a JSON object, to be had back as it is."""

import math
from typing import Any

from taglane.errors import BadParams

_DEPTH = 64  # far from where json gives up


def check_params(params: Any) -> dict[str, Any]:
    """Return *params* as JSON gives them back.

    Raises:
        BadParams: they are no JSON object; names the place and the value.
    """
    if not isinstance(params, dict):
        raise BadParams(f"params must be a JSON object, not {params!r}")
    checked: dict[str, Any] = _checked(params, "params", _DEPTH)
    return checked


def _checked(value: Any, place: str, depth: int) -> Any:
    if depth == 0:
        raise BadParams(f"params are nested more than {_DEPTH} deep")
    match value:
        case list() | tuple():
            return [_checked(item, f"{place}[{index}]", depth - 1) for index, item in enumerate(value)]
        case dict():
            for key in value:
                if not isinstance(key, str):
                    raise BadParams(f"{place} has the key {key!r}: a key is a text")
            return {_leaf(key, place): _checked(item, f"{place}.{key}", depth - 1) for key, item in value.items()}
        case _:
            return _leaf(value, place)


def _leaf(value: Any, place: str) -> Any:
    match value:
        case str() if max(value, default="") >= "\ud800" and any("\ud800" <= char <= "\udfff" for char in value):
            raise BadParams(f"{place} is {value!r}, which is no Unicode text")
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case _:
            raise BadParams(f"{place} is {value!r}, which JSON does not have: write it as a text")
