"""Says when a job is due.

Five kinds, each a small frozen value: `Cron`, `Every`, `After`, `At`, `Manual`. All instants and durations are in ms,
instants since the epoch. `start` (inclusive) and `end` (exclusive) bound the instants at which a job may be due.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, ClassVar

from taglane.model.cron import check_cron, next_cron
from taglane.model.cron_count import count_cron
from taglane.model.duration import format_duration
from taglane.model.instant import format_instant
from taglane.model.zone import find_zone

_SECOND = 1_000  # ms: how fine a schedule may be
_END_OF_TIME = 253_402_300_800_000  # ms, the year 10000, where Python's calendar ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What every kind of schedule has: a zone by its IANA name, and the window in which it may be due."""

    kind: ClassVar[str]

    tz: str = "UTC"
    start: int | None = None
    end: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_type(field.name, field.type, getattr(self, field.name))
        find_zone(self.tz)
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"start {format_instant(self.start)} must come before end {format_instant(self.end)}")
        self.check()

    def check(self) -> None:
        """Raise ValueError, with a sentence for the user, for values that this kind can't have."""


@dataclass(frozen=True, slots=True)
class Cron(Window):
    """Due when the clock of its zone matches *expr*: 5 fields, 6 with seconds first, or an alias like `@daily`."""

    kind: ClassVar[str] = "cron"
    expr: str

    def check(self) -> None:
        """Refuse what is not cron, naming the field, and what never fires."""
        check_cron(self.expr)


@dataclass(frozen=True, slots=True)
class Every(Window):
    """Due at a fixed rate: at its start, or else at *anchor* (its creation), and every *interval* ms from there.

    The grid is part of the schedule, so a restart keeps it; and as it keeps the milliseconds of the anchor, jobs with
    the same interval don't all come due at once.
    """

    kind: ClassVar[str] = "every"
    interval: int
    anchor: int | None = None

    def check(self) -> None:
        """Refuse an interval that is no whole second, and a grid that hangs on nothing."""
        _check_whole_seconds(self.interval)
        if self.start is None and self.anchor is None:
            raise ValueError("a fixed rate needs a start or an anchor to count from")


@dataclass(frozen=True, slots=True)
class After(Window):
    """Due *delay* ms after the end of the last run; before there was one, at *first* or else at its start."""

    kind: ClassVar[str] = "after"
    delay: int
    first: int | None = None

    def check(self) -> None:
        """Refuse a delay that is no whole second."""
        _check_whole_seconds(self.delay)


@dataclass(frozen=True, slots=True)
class At(Window):
    """Due once, at *instant*."""

    kind: ClassVar[str] = "at"
    instant: int

    def check(self) -> None:
        """Refuse an instant outside of the window: it would never be due."""
        early = self.start is not None and self.instant < self.start
        if early or (self.end is not None and self.instant >= self.end):
            raise ValueError(f"{format_instant(self.instant)} is outside of the start and end it may be due in")


@dataclass(frozen=True, slots=True)
class Manual(Window):
    """Never due by itself: it runs when someone says so."""

    kind: ClassVar[str] = "manual"


Schedule = Cron | Every | After | At | Manual

_KINDS: dict[str, type[Schedule]] = {kind.kind: kind for kind in (Cron, Every, After, At, Manual)}


def next_due(schedule: Schedule, *, after: int, hash_id: str = "") -> int | None:
    """Return the first due instant strictly after *after*, inside the window; None if there is none.

    *hash_id* (`tenant/job`) says where an `H` in a cron expression falls. For `After`, give the end of the last run as
    *after*, or, before there was one, the present.
    """
    due: int | None = None
    match schedule:
        case Cron(expr=expr, tz=tz, start=start):
            due = next_cron(expr, tz, after=after if start is None else max(after, start - 1), hash_id=hash_id)
        case Every(interval=interval, start=start, anchor=anchor):
            origin = start if start is not None else anchor or 0
            due = max(origin, origin + ((after - origin) // interval + 1) * interval)
        case After(delay=delay, start=start, first=first):
            earliest = max(start or 0, first or 0)
            due = earliest if after < earliest else after + delay
        case At(instant=instant):
            due = instant if instant > after else None
        case Manual():
            due = None
    return None if due is None or (schedule.end is not None and due >= schedule.end) else due


def upcoming(schedule: Schedule, *, now: int, count: int, hash_id: str = "") -> list[int]:
    """Return the next *count* due instants after *now*, fewer if that's all; for `After`, as if runs took no time."""
    found: list[int] = []
    while len(found) < count:
        due = next_due(schedule, after=found[-1] if found else now, hash_id=hash_id)
        if due is None:
            break
        found.append(due)
    return found


def count_due(schedule: Schedule, *, after: int, until: int, hash_id: str = "") -> int:
    """Return how many due instants there are after *after* and not after *until*, inside the window.

    It costs what `next_due` costs, for a cron once a day of that time. `After` has none: its dues hang on its runs.
    """
    first = after if schedule.start is None else max(after, schedule.start - 1)
    last = until if schedule.end is None else min(until, schedule.end - 1)
    match schedule:
        case Cron(expr=expr, tz=tz):
            return count_cron(expr, tz, after=first, until=last, hash_id=hash_id)
        case Every(interval=interval, start=start, anchor=anchor):
            origin = start if start is not None else anchor or 0
            return max(0, (last - origin) // interval - max(-1, (first - origin) // interval))
        case At(instant=instant):
            return int(first < instant <= last)
        case _:
            return 0


@lru_cache(maxsize=4_096)
def to_json(schedule: Schedule) -> str:
    """Write compact JSON, `{"kind":"cron","expr":"*/5 * * * *"}`, without the fields that have their default."""
    return json.dumps(_kept(schedule), separators=(",", ":"))


@lru_cache(maxsize=4_096)
def sorted_json(schedule: Schedule) -> str:
    """Write it as `to_json` does, its keys in order: so it stands in a job's definition."""
    return json.dumps(_kept(schedule), separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _kept(schedule: Schedule) -> dict[str, Any]:
    kept = {"kind": schedule.kind}
    for field in fields(schedule):
        value = getattr(schedule, field.name)
        if value != field.default:
            kept[field.name] = value
    return kept


@lru_cache(maxsize=4_096)
def from_json(text: str) -> Schedule:
    """Read what `to_json` wrote; ValueError for anything else. Memoised, as many jobs share a text."""
    try:
        loaded = json.loads(text)
    except RecursionError as error:
        raise ValueError("a schedule is not nested so deep") from error
    if not isinstance(loaded, dict):
        raise ValueError(f"a schedule is a JSON object, not {text!r}")  # noqa: TRY004 - a user's mistake, not ours
    return from_fields(loaded)


def from_fields(values: Mapping[str, Any]) -> Schedule:
    """Make the schedule with these fields, of which `kind` is one; ValueError with a sentence for the user."""
    rest = dict(values)
    kind = rest.pop("kind", None)
    schedule = _KINDS.get(kind) if isinstance(kind, str) else None
    if schedule is None:
        raise ValueError(f"{kind!r} is not a kind of schedule: there are {', '.join(_KINDS)}")
    known = [field.name for field in fields(schedule)]
    for name in rest:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"a schedule of kind {kind!r} has no field {name!r}{hint}")
    try:
        return schedule(**rest)
    except TypeError as error:
        raise ValueError(f"a schedule of kind {kind!r} lacks a field: it has {', '.join(known)}") from error


def is_of_ours(values: Mapping[str, Any]) -> bool:
    """Whether there are no fields in it that no schedule here has: a newer Taglane may know more kinds, and fields."""
    kind = values.get("kind")
    known = _KINDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        return not isinstance(kind, str)
    return not set(values) - {"kind", *(field.name for field in fields(known))}


def describe(schedule: Schedule) -> str:
    """Say it in one short sentence: `every 30s`, `cron */5 * * * * (UTC)`, `once at 2026-11-22T09:00:00Z`."""
    match schedule:
        case Cron():
            text = f"cron {schedule.expr} ({schedule.tz})"
        case Every():
            text = f"every {format_duration(schedule.interval)}"
        case After():
            text = f"{format_duration(schedule.delay)} after each end"
        case At():
            text = f"once at {format_instant(schedule.instant)}"
        case Manual():
            return "manual"
    since = "" if schedule.start is None else f", from {format_instant(schedule.start)}"
    until = "" if schedule.end is None else f", until {format_instant(schedule.end)}"
    return text + since + until


def _check_type(name: str, wanted: Any, value: object) -> None:
    """Refuse what JSON may hold here and the annotation doesn't allow."""
    if wanted is str:
        if type(value) is not str:
            raise ValueError(f"{name} is a text, not {value!r}")
    elif value is None:
        if wanted is int:
            raise ValueError(f"{name} is missing")
    elif type(value) is not int or not 0 <= value < _END_OF_TIME:
        raise ValueError(f"{name} is a number of milliseconds, not {value!r}")


def _check_whole_seconds(duration: int) -> None:
    if duration < _SECOND or duration % _SECOND:
        raise ValueError(f"{duration} ms is not a whole number of seconds, 1s or more")
