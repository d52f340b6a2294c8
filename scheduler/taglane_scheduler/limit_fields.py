"""Reads the limits of a tenant in a jobs file, and blames a mistake in them on the place where it stands. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.errors import BadLimit
from taglane.model.limits import NONE, Limits, change_limits

from taglane_scheduler.yaml_events import BadYaml
from taglane_scheduler.yaml_tree import Key, Value, pairs

if TYPE_CHECKING:
    from collections.abc import Mapping


def limits_of(value: Value, above: Limits) -> Limits:
    """Return the limits of a mapping: those that it leaves out are as in *above*, and ``none`` is no limit.

    Raises:
        BadYaml: with the place of the mistake.
    """
    given = pairs(value, "limits")
    for key, wanted in given.items():
        if wanted.data is None:
            told = f"limits.{key.name} is empty: write {NONE} for no limit"
            raise BadYaml(wanted.line, wanted.column, told)
    try:
        return change_limits(above, {key.name: wanted.plain() for key, wanted in given.items()})
    except BadLimit as error:
        place = _place(given, error.name)
        raise BadYaml(place.line, place.column, str(error)) from error


def _place(given: Mapping[Key, Value], name: str) -> Key | Value:
    key, value = next((key, value) for key, value in given.items() if str(key.name) == name)
    return value if name in Limits.__dataclass_fields__ else key
