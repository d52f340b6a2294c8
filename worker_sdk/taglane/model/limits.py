"""A tenant's limits: what an operator may write of them, and how the server keeps them."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from taglane.errors import BadLimit
from taglane.model.size import format_size, parse_size

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 1_000_000_000
"""The highest limit that is one: above it, say ``none``."""

NONE = "none"
"""What takes a limit away."""

_RATE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(?:/(s|m|h))?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, None: 1}


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one tenant; None is no limit. A key of `taglane-ro:{tenant}:limits` is called like its field."""

    running: int | None = None
    """Runs that its workers hold at once."""

    rate: float | None = None
    """Runs that begin, a second; over an interval of many seconds."""

    burst: int | None = None
    """How many of these may begin at once after a pause; without one, as many as *rate* gives in a second."""

    queued: int | None = None
    """Runs that wait: queued, delayed and parked ones. What is recovered from a dead worker is never refused."""

    fires: float | None = None
    """Due instants that become runs, a second: what is over it is fired later."""

    payload: int | None = None
    """Bytes of one run's params; the setting TAGLANE_PAYLOAD_LIMIT holds too."""

    weight: float | None = None
    """The share of a shared pool, beside others who want it at the same time; without one, 1."""

    guaranteed: int | None = None
    """Slots of a shared pool that are its own as soon as it wants them; others borrow them meanwhile."""

    borrow: int | None = None
    """Slots of a shared pool, beyond the guaranteed ones, that it may have at most."""

    connections: int | None = None
    """Connections of its user to the server. This one and the next two are watched by schedulers; no call of the
    tenant's is refused for them."""

    bandwidth: int | None = None
    """Bytes a second that its connections read and write together, from one look of the scheduler to the next."""

    memory: int | None = None
    """Bytes of the server's memory: an estimate of what its data takes, and what its connections take."""

    overuse: str | None = None
    """What becomes of a tenant that is over one of these three: ``alarm``, which is the default, or ``cut``."""

    def kept(self) -> dict[str, str]:
        """Return the fields that are set, as the server keeps them; `read_limits` reads that."""
        return {name: _text(value) for name, value in asdict(self).items() if value is not None}

    def over(self, default: Limits) -> Limits:
        """Return these limits, and those of *default* where there is none."""
        return Limits(**asdict(default) | {name: value for name, value in asdict(self).items() if value is not None})


FIELDS = tuple(field.name for field in fields(Limits))

_RATES = frozenset({"rate", "fires"})
_FROM_ZERO = frozenset({"guaranteed", "borrow"})
_SIZES = frozenset({"bandwidth", "memory"})
_SAID = _SIZES | {"overuse"}
_MOST_BYTES = 2**50

OVERUSE = ("alarm", "cut")
WATCHED = ("connections", "bandwidth", "memory", "overuse")
"""Limits that schedulers watch: the others hold where runs are enqueued, fired and fetched."""


def read_limits(kept: Mapping[str, str]) -> Limits:
    """Read what the server keeps: what is no limit of ours is none."""
    found: dict[str, Any] = {}
    for name in FIELDS:
        if name in kept:
            try:
                found[name] = _check(name, kept[name] if name in _SAID else float(kept[name]))
            except (BadLimit, ValueError, OverflowError):
                continue
    return Limits(**found)


def change_limits(before: Limits, given: Mapping[str, Any]) -> Limits:
    """Return *before* with what is *given* in place: numbers, texts like ``10/s``, or ``none`` and None for no limit.

    Raises:
        BadLimit: no limit is called that, or it can't be that; names both.
    """
    found = asdict(before)
    for name, value in given.items():
        if name not in FIELDS:
            near = get_close_matches(str(name), FIELDS, n=1)
            raise BadLimit(str(name), value, f"did you mean {near[0]!r}?" if near else f"there are {', '.join(FIELDS)}")
        found[name] = None if value is None or value == NONE else _check(name, value)
    return Limits(**found)


def parse_watched(text: str) -> Limits:
    """Read limits like ``connections=500 memory=1GiB overuse=cut``, for tenants that have none of their own.

    Raises:
        BadLimit: a part of it is none of these.
    """
    found: dict[str, str] = {}
    for part in text.split():
        name, _, value = part.partition("=")
        if name not in WATCHED or not value:
            raise BadLimit(name, value, f"write them like connections=500 memory=1GiB; there are {', '.join(WATCHED)}")
        found[name] = value
    return change_limits(Limits(), found)


def _check(name: str, value: Any) -> int | float | str:
    if name in _RATES:
        return _rate(name, value)
    if name in _SIZES:
        return _size(name, value)
    if name == "overuse":
        if value not in OVERUSE:
            raise BadLimit(name, value, f"it must be {' or '.join(OVERUSE)}")
        return str(value)
    if name == "weight":
        number = _number(name, value, "a number above 0, and 1000 at most")
        if not 0.001 <= number <= 1_000:
            raise BadLimit(name, value, "it must be a number from 0.001 to 1000")
        return number
    least = 0 if name in _FROM_ZERO else 1
    number = _number(name, value, f"a whole number from {least}, or none")
    if number != int(number) or not least <= number <= MOST:
        raise BadLimit(name, value, f"it must be a whole number from {least} to {MOST}, or none for no limit")
    return int(number)


def _rate(name: str, value: Any) -> float:
    unit = None
    if isinstance(value, str):
        found = _RATE.fullmatch(value)
        if found is None:
            raise BadLimit(name, value, "write it like 10/s, 90/m, 1000/h, or none for no limit")
        value, unit = found.groups()
    number = _number(name, value, "a number of runs a second") / _SECONDS[unit]
    if not 1e-6 <= number <= MOST:
        raise BadLimit(name, value, "it must be above 0, like 10/s, 90/m, or none for no limit")
    return number


def _size(name: str, value: Any) -> int:
    if isinstance(value, str):
        try:
            value = parse_size(value.removesuffix("/s") if name == "bandwidth" else value)
        except ValueError as error:
            raise BadLimit(name, value, "write it like 500kB, 64MiB, 1GiB, or none for no limit") from error
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_BYTES:
        raise BadLimit(name, value, "it must be a number of bytes from 1 on, like 64MiB, or none for no limit")
    return value


def _number(name: str, value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise BadLimit(name, value, f"it must be {what}")
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise BadLimit(name, value, f"it must be {what}") from error
    if not math.isfinite(number):
        raise BadLimit(name, value, f"it must be {what}")
    return number


def _text(value: float | str) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def spelled(limits: Limits) -> dict[str, int | float | str]:
    """Return the limits that are set as a user writes them: a rate as ``10/s``, a size as ``64MiB``."""
    return {name: _spell(name, value) for name, value in asdict(limits).items() if value is not None}


def _spell(name: str, value: Any) -> int | float | str:
    if name in _RATES:
        return _spell_rate(value)
    if name in _SIZES:
        return format_size(value)
    return int(value) if not isinstance(value, str) and value == int(value) else value


def _spell_rate(value: float) -> str | float:
    for unit, seconds in (("s", 1), ("m", 60), ("h", 3600)):
        number = value * seconds
        if number >= 1 and math.isclose(number, round(number), rel_tol=1e-12):
            return f"{round(number)}/{unit}"
    return value
