"""Finds the next time of a cron expression in a time zone.

croniter walks the naive wall clock, where there is no DST, and we map what it finds to instants ourselves: with a zone
in hand, croniter 7 fires a fixed time twice in the repeated hour and moves `0 */2 * * *` to a minute it never names.
The rules are Debian cron's, and cronsim agrees with them:

- A *fixed* time (neither minute nor hour starts with `*`) fires once a day. Where the clock skips it, it fires at the
  first instant after the gap; where the clock repeats it, at the first of the two.
- Any other expression matches what the clock shows: never in the gap, in both passes of the repeated hour.
- A day matches when its day of month OR its day of week does, but both must when one of them starts with `*`.
"""

import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter
from croniter.croniter import HashExpander

from taglane.model.cron_fields import CronFields, read_cron
from taglane.model.zone import change_around, find_zone, first_instant, offsets, reading, showing, wall_clock

_SECOND = timedelta(seconds=1)
_MADE_AT = datetime(2000, 1, 1)  # noqa: DTZ001 - any wall clock will do
_FIVE = 5  # fields without the seconds
_HORIZON = 250_000_000_000  # s, the year 9892: croniter looks 50 years ahead and Python's calendar ends in 9999


@dataclass(frozen=True, slots=True)
class ParsedCron:
    """What croniter knows of an expression; whether it is one of a fixed time."""

    croniter: croniter
    fixed: bool

    def following(self, wall: datetime) -> datetime | None:
        """Return the first match on the wall clock after *wall*; None if there is none in 50 years."""
        # croniter keeps its place in itself; on a copy, which is shallow and cheap, threads may share the parsed one.
        walker = copy.copy(self.croniter)
        try:
            found: datetime = walker.get_next(datetime, start_time=wall)
        except CroniterBadDateError:
            return None
        return found


def check_cron(expr: str) -> None:
    """Raise ValueError, with a sentence for the user, if *expr* is not a cron expression or can never fire."""
    if _never_fires(expr):
        raise ValueError(f"cron {expr!r} never fires: there is no such day")


def next_cron(expr: str, tz: str, *, after: int, hash_id: str = "") -> int | None:
    """Return the first instant, ms, strictly after *after*, ms, at which *expr* fires; None if none is in 50 years.

    Memoised: jobs that share an expression, a zone and an instant share the work, with an `H` all those whose *hash_id*
    comes to the same times. Raises ValueError for an unknown zone or a bad expression.
    """
    fields, second = _read(expr), max(after // 1000, -1)
    text = _settled(fields, hash_id)
    last = _last(text, fields.fixed, tz)
    for since, found in last:
        if since <= second < found:
            return found * 1000  # nothing lies in between: who asks a moment later is told the same
    following = _next_second(text, fields.fixed, tz, second)
    if following is None:
        return None
    last[:] = [(second, following)]
    return following * 1000


@lru_cache(maxsize=16_384)
def _last(text: str, fixed: bool, tz: str) -> list[tuple[int, int]]:
    """What was asked last, s, and answered: empty before. The caller writes it."""
    del text, fixed, tz
    return []


@lru_cache(maxsize=16_384)
def _next_second(text: str, fixed: bool, tz: str, after: int) -> int | None:
    if after > _HORIZON:
        return None
    parsed = _parsed(text, fixed)
    search = _next_fixed if parsed.fixed else _next_shown
    return search(parsed, find_zone(tz), after)


def parsed_cron(expr: str, hash_id: str) -> ParsedCron:
    """Read an expression; ValueError for a bad one. Memoised."""
    fields = _read(expr)
    return _parsed(_settled(fields, hash_id), fields.fixed)


_read = lru_cache(maxsize=4_096)(read_cron)


@lru_cache(maxsize=4_096)
def _parsed(text: str, fixed: bool) -> ParsedCron:
    walker = croniter(text, _MADE_AT, implement_cron_bug=True, second_at_beginning=True)
    return ParsedCron(walker, fixed)


def _settled(fields: CronFields, hash_id: str) -> str:
    """Return the expression with a time for each `H`, which croniter chooses: parsing anew for each job costs 60 us."""
    if not fields.hashed:
        return fields.text
    parts, key = fields.text.split(), hash_id.encode()
    places = range(len(parts)) if len(parts) == _FIVE else (len(parts) - 1, *range(len(parts) - 1))  # seconds: its last
    settle = HashExpander(croniter).expand
    return " ".join(
        settle("", place, part.lower(), hash_id=key) if part.startswith("H") else part
        for place, part in zip(places, parts, strict=True)
    )


@lru_cache(maxsize=4_096)
def _never_fires(expr: str) -> bool:
    return parsed_cron(expr, "").following(_MADE_AT) is None


def _next_fixed(parsed: ParsedCron, zone: ZoneInfo, after: int) -> int | None:
    wall = wall_clock(after, zone)
    if wall.fold:  # what this hour repeats has fired in its first pass: go on from its end
        before, _ = offsets(wall, zone)
        wall = showing(change_around(wall, zone), before) - _SECOND
    match = parsed.following(wall)
    return None if match is None else first_instant(match, zone)


def _next_shown(parsed: ParsedCron, zone: ZoneInfo, after: int) -> int | None:
    wall = wall_clock(after, zone)
    before, since = offsets(wall, zone)
    match = parsed.following(wall)
    if before > since and not wall.fold:  # the first pass of a repeated hour: its second pass comes before what follows
        change = change_around(wall, zone)
        if match is None or match >= showing(change, before):
            match = parsed.following(showing(change, since) - _SECOND)
    while match is not None:
        before, since = offsets(match, zone)
        if before >= since:
            first = reading(match, before)
            return first if first > after else reading(match, since)
        match = parsed.following(showing(change_around(match, zone), since) - _SECOND)
    return None
