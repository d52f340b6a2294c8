"""Decides whether and when a failed run is tried again: a job's own policy, beside what its task says of itself."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taglane.errors import BadSchedule
from taglane.model.duration import format_duration, parse_duration

Backoff = Literal["exponential", "fixed"]
"""How the wait grows from one try to the next: twice as long each time, or not at all."""

_DURATIONS = ("delay", "max_delay")
_LONGEST = 30 * 86_400_000  # ms


class Retry(BaseModel):
    """How often a run is tried, and how long it waits in between. Durations are in ms."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    attempts: int = Field(ge=1, le=100)
    """Tries in all, the first one included: 1 is no retry. What is not done after the last is a dead letter."""

    delay: int = Field(default=1_000, ge=0, le=_LONGEST)
    """The wait before the second try."""

    backoff: Backoff = "exponential"

    max_delay: int = Field(default=600_000, ge=0, le=_LONGEST)
    """The ceiling of a wait."""

    jitter: bool = True
    """Whether each wait is cut by a random part of up to a half: so that what failed together is not tried together."""

    on: tuple[str, ...] = Field(default=(), max_length=100)
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
        return cls.model_validate({**fields, "on": tuple(fields.get("on", ()))})

    def spelled(self) -> dict[str, Any]:
        """Return it as a user writes it: durations as texts."""
        fields = self.fields()
        return {name: format_duration(value) if name in _DURATIONS else value for name, value in fields.items()}


def make_retry(given: Any) -> Retry | None:
    """Make a policy of what a command line or a jobs file says: a number of attempts, or a mapping of the fields.

    Raises:
        BadSchedule: it says nothing; names the field and the value.
    """
    if given is None:
        return None
    if type(given) is int:
        given = {"attempts": given}
    if not isinstance(given, dict):
        raise BadSchedule(f"retry: {given!r} is neither a number of attempts nor a mapping like {{attempts: 5}}")
    fields = dict(given)
    for name in _DURATIONS:
        if isinstance(fields.get(name), str):
            try:
                fields[name] = parse_duration(fields[name])
            except ValueError as error:
                raise BadSchedule(f"retry.{name}: {error}") from error
    if isinstance(fields.get("on"), (list, tuple)):
        fields["on"] = tuple(_check_error_name(name) for name in fields["on"])
    try:
        return Retry.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(["retry", *(str(part) for part in first["loc"])])
        value = "" if first["type"] == "missing" else f"{first['input']!r}: "
        raise BadSchedule(f"{place}: {value}{first['msg']}") from error


def _check_error_name(name: Any) -> str:
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise BadSchedule(f"retry.on: {name!r} is not the name of an exception, like ConnectionError or shop.Busy")
    return name
