"""Decides whether and when a failed run is tried again: a job's own policy, beside what its task says of itself."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field

from taglane.errors import BadSchedule
from taglane.model.duration import format_duration, parse_duration

Backoff = Literal["exponential", "fixed"]
"""How the wait grows from one try to the next: twice as long each time, or not at all."""

MOST_ATTEMPTS = 100
MOST_ERRORS = 100
"""Names of exceptions in one policy."""

LONGEST_MS = 30 * 86_400_000
"""The longest wait between two tries."""

_DURATIONS = ("delay", "max_delay")


class Retry(BaseModel):
    """How often a run is tried, and how long it waits in between. Durations are in ms."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    attempts: int = Field(ge=1, le=MOST_ATTEMPTS)
    """Tries in all, the first one included: 1 is no retry. What is not done after the last is a dead letter."""

    delay: int = Field(default=1_000, ge=0, le=LONGEST_MS)
    """The wait before the second try."""

    backoff: Backoff = "exponential"

    max_delay: int = Field(default=600_000, ge=0, le=LONGEST_MS)
    """The ceiling of a wait."""

    jitter: bool = True
    """Whether each wait is cut by a random part of up to a half: so that what failed together is not tried together."""

    on: tuple[str, ...] = Field(default=(), max_length=MOST_ERRORS)
    """Which errors: names of exception classes, bare or dotted; a subclass is one too. Empty: every `Exception`."""

    def wait(self, attempt: int, chance: float) -> int:
        """Return the ms to wait after the *attempt*-th try has failed; *chance* is from 0 to 1."""
        growth = 2 ** min(attempt - 1, 40) if self.backoff == "exponential" else 1
        longest = min(self.delay * growth, self.max_delay)
        return round(longest * (1 - chance / 2)) if self.jitter else longest

    def covers(self, error: BaseException) -> bool:
        """Whether an error is one that it speaks of."""
        if not isinstance(error, Exception):
            return False
        kinds = type(error).__mro__
        names = {kind.__qualname__ for kind in kinds} | {f"{kind.__module__}.{kind.__qualname__}" for kind in kinds}
        return not self.on or not names.isdisjoint(self.on)

    def fields(self) -> dict[str, Any]:
        """Return what differs from the defaults, for JSON; `from_fields` reads it."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """Read what `fields` wrote.

        Raises:
            ValueError: it is something else.
        """
        on = fields.get("on", [])
        return cls.model_validate({**fields, "on": tuple(on) if isinstance(on, list) else on})

    def spelled(self) -> dict[str, Any]:
        """Return it as a user writes it: durations as texts."""
        fields = self.fields()
        return {name: format_duration(value) if name in _DURATIONS else value for name, value in fields.items()}


def make_retry(given: Any) -> Retry | None:
    """Make a policy of what a command line or a jobs file says: a number of attempts, or a mapping of the fields.

    Raises:
        BadSchedule: it says nothing; names the field and the value.
    """
    if given is None or isinstance(given, Retry):
        return given
    if type(given) is int:
        given = {"attempts": given}
    if not isinstance(given, dict):
        raise BadSchedule(f"retry: {given!r} is neither a number of attempts nor a mapping like {{attempts: 5}}")
    for name in given:
        if name not in _CHECKS:
            near = get_close_matches(str(name), _CHECKS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_CHECKS)}"
            raise BadSchedule(f"retry.{name}: there is no such field: {hint}")
    if "attempts" not in given:
        raise BadSchedule("retry.attempts is missing: how often is a run tried in all, the first time included?")
    checked = {name: _CHECKS[name](f"retry.{name}", value) for name, value in given.items()}
    longest = checked.get("max_delay", _DEFAULTS["max_delay"])
    if checked.get("delay", 0) > longest:
        raise BadSchedule(f"retry.delay: it is over max_delay, {format_duration(longest)}: give a longer max_delay too")
    return Retry(**checked)


def _check_attempts(place: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MOST_ATTEMPTS:
        raise BadSchedule(f"{place}: {value!r} is not a whole number from 1, which is no retry, to {MOST_ATTEMPTS}")
    return value


def _check_wait(place: str, value: Any) -> int:
    if isinstance(value, str):
        try:
            value = parse_duration(value)
        except ValueError as error:
            raise BadSchedule(f"{place}: {error}") from error
    if type(value) is not int or value < 0:
        raise BadSchedule(f"{place}: {value!r} is not a duration: write it like 30s, 5m, 1h30m")
    if value > LONGEST_MS:
        longest = format_duration(LONGEST_MS)
        raise BadSchedule(f"{place}: {format_duration(value)} is too long: it takes {longest} at most")
    return value


def _check_backoff(place: str, value: Any) -> str:
    if not isinstance(value, str) or value not in get_args(Backoff):
        raise BadSchedule(f"{place}: {value!r} is not one of {', '.join(get_args(Backoff))}")
    return value


def _check_jitter(place: str, value: Any) -> bool:
    if type(value) is not bool:
        raise BadSchedule(f"{place}: {value!r} is neither true nor false")
    return value


def _check_errors(place: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise BadSchedule(f"{place}: {value!r} is not a list of names of exceptions, like [ConnectionError]")
    if not value:
        raise BadSchedule(f"{place}: it names no exception: leave it out, and it is any")
    if len(value) > MOST_ERRORS:
        raise BadSchedule(f"{place}: {len(value)} names are too many: it takes at most {MOST_ERRORS}")
    for name in value:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise BadSchedule(f"{place}: {name!r} is not the name of an exception, like ConnectionError or shop.Busy")
    return tuple(value)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "attempts": _check_attempts,
    "delay": _check_wait,
    "backoff": _check_backoff,
    "max_delay": _check_wait,
    "jitter": _check_jitter,
    "on": _check_errors,
}
_DEFAULTS = {name: field.default for name, field in Retry.model_fields.items()}
