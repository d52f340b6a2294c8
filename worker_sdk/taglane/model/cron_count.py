"""Counts the times of a cron expression between two instants, without finding each of them.

The work is done once a day that has any, not once a time: while the offset of the zone stays what it is, the times of a
day are those of every day that matches, and how many of them lie before a time of the day is a matter of arithmetic.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from taglane.model.cron import next_cron, parsed_cron
from taglane.model.zone import find_zone, offset_at, reading, showing

_DAY = timedelta(days=1)
_NEAR = 25 * 3600  # s around a change of offset in which a fixed time may not be where the clock says
_WALKED = 2_000  # times of a fixed expression that are found one by one, at most


@dataclass(frozen=True, slots=True)
class _Times:
    """The times of a day that matches: its hours, minutes and seconds, each in order."""

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]

    def until(self, at: datetime) -> int:
        """Return how many of them are not after *at*, whatever its date."""
        found = 0
        values, place = (at.hour, at.minute, at.second), (self.hours, self.minutes, self.seconds)
        below = (len(self.minutes) * len(self.seconds), len(self.seconds), 1)
        for value, known, each in zip(values, place, below, strict=True):
            count = bisect_right(known, value)
            if not count or known[count - 1] != value:
                return found + count * each
            found += (count - 1) * each
        return found + 1


def count_cron(expr: str, tz: str, *, after: int, until: int, hash_id: str = "") -> int:
    """Return at how many instants after *after* and not after *until*, ms, *expr* fires; see `next_cron`."""
    zone, times, last = find_zone(tz), _times(expr, hash_id), until // 1000
    fixed = parsed_cron(expr, hash_id).fixed
    found = walked = 0
    due = next_cron(expr, tz, after=after, hash_id=hash_id)
    while due is not None and due <= until:
        first = due // 1000
        if fixed and walked < _WALKED and _changes(zone, first - _NEAR, first + _NEAR):
            found, walked, end = found + 1, walked + 1, first
        else:
            end = min(last, _end_of_stretch(first, zone))
            offset = offset_at(first, zone)
            found += times.until(showing(end, offset)) - times.until(showing(first, offset)) + 1
        due = next_cron(expr, tz, after=end * 1000, hash_id=hash_id)
    return found


@lru_cache(maxsize=4_096)
def _times(expr: str, hash_id: str) -> _Times:
    fields = parsed_cron(expr, hash_id).croniter.expanded
    minutes, hours, seconds = fields[0], fields[1], fields[5] if len(fields) > 5 else [0]
    return _Times(_all(hours, 24), _all(minutes, 60), _all(seconds, 60))


def _all(field: list[int | str], size: int) -> tuple[int, ...]:
    return tuple(range(size)) if "*" in field else tuple(sorted(int(value) for value in field))


def _changes(zone: ZoneInfo, first: int, last: int) -> bool:
    return offset_at(first, zone) != offset_at(last, zone)


def _end_of_stretch(first: int, zone: ZoneInfo) -> int:
    """Return the last instant, s, of the local day of *first*, or before the change of offset in it."""
    offset = offset_at(first, zone)
    midnight = showing(first, offset).replace(hour=0, minute=0, second=0)
    end = reading(midnight + _DAY, offset) - 1
    if not _changes(zone, first, end):
        return end
    low, high = first, end  # the offset is the first one's at low, and another one at high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if offset_at(middle, zone) == offset else (low, middle)
    return low
