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
import re
from binascii import crc32
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from taglane.model.cron_fields import read_cron
from taglane.model.zone import change_around, find_zone, first_instant, offsets, reading, showing, wall_clock

_SECOND = timedelta(seconds=1)
_PLACE = re.compile(r"H\((\d+)-(\d+)\)")
_SECONDS_PLACE = 5  # croniter counts the seconds as the last field, wherever they stand
_MADE_AT = datetime(2000, 1, 1)  # noqa: DTZ001 - any wall clock will do
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

    Memoised: jobs that share an expression, a zone and an instant share the work (*hash_id* matters only with an `H`).
    Raises ValueError for an unknown zone or a bad expression.
    """
    if fields := _hashed_fields(expr):
        expr, hash_id = _placed(fields, hash_id)
    elif not _is_hashed(expr):
        hash_id = ""
    found = _next_second(expr, tz, hash_id, max(after // 1000, -1))
    return None if found is None else found * 1000


@lru_cache(maxsize=16_384)
def _next_second(expr: str, tz: str, hash_id: str, after: int) -> int | None:
    if after > _HORIZON:
        return None
    parsed = parsed_cron(expr, hash_id)
    search = _next_fixed if parsed.fixed else _next_shown
    return search(parsed, find_zone(tz), after)


@lru_cache(maxsize=4_096)
def parsed_cron(expr: str, hash_id: str) -> ParsedCron:
    """Read an expression; ValueError for a bad one. Memoised."""
    fields = read_cron(expr)
    walker = croniter(fields.text, _MADE_AT, hash_id=hash_id, implement_cron_bug=True, second_at_beginning=True)
    return ParsedCron(walker, fields.fixed)


@lru_cache(maxsize=4_096)
def _is_hashed(expr: str) -> bool:
    return read_cron(expr).hashed


@lru_cache(maxsize=4_096)
def _hashed_fields(expr: str) -> tuple[str | tuple[int, int, int], ...]:
    """Return the fields of an expression in which each H stands alone: an H as its place, its lowest value, how many.

    Empty where there is none, or one with a step: what that makes is croniter's to say.
    """
    if not _is_hashed(expr):
        return ()
    texts = read_cron(expr).text.split()
    found: list[str | tuple[int, int, int]] = []
    for number, text in enumerate(texts):
        place = number if len(texts) == _SECONDS_PLACE else (number - 1) % len(texts)
        if match := _PLACE.fullmatch(text):
            low, high = int(match[1]), int(match[2])
            found.append((place, low, high - low + 1))
        elif text.startswith("H"):
            return ()
        else:
            found.append(text)
    return tuple(found)


def _placed(fields: tuple[str | tuple[int, int, int], ...], hash_id: str) -> tuple[str, str]:
    """Return the expression with what each H is for *hash_id*, as croniter has it, and no hash id.

    So a job shares the work with all whose H fell on the same place, and not with those of its own name alone.
    """
    digest = crc32(hash_id.encode())
    texts = [text if isinstance(text, str) else str((digest >> text[0]) % text[2] + text[1]) for text in fields]
    return " ".join(texts), ""


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
