"""Maps instants to the wall clock of a time zone and back, through the hours that DST skips or repeats.

An instant is in whole seconds since the epoch here; a wall clock is a naive datetime. At a change of offset a wall
clock is either *skipped* (02:30 on a spring night: no instant shows it) or *repeated* (02:30 on an autumn night:
two do). Python tells them apart by `fold`: the offset for fold 0 is the one before the change, for fold 1 the one
after it, and which of the two is larger says whether the clock jumped ahead or fell back (PEP 495).
"""

from contextlib import suppress
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock
_SECOND = timedelta(seconds=1)
# Not names of places: the host's own zone, and copies with other or leap-second rules.
_NOT_ZONES = ("localtime", "posixrules", "posix/", "right/", "Factory")


@lru_cache(maxsize=1024)
def find_zone(name: str) -> ZoneInfo:
    """Return the zone with this IANA name; raise ValueError, with the nearest name there is, when there is none."""
    if not name.startswith(_NOT_ZONES):
        with suppress(KeyError, ValueError, OSError):  # OSError: a folder of zones, like 'Europe'
            return ZoneInfo(name)
    by_lower_case = {known.lower(): known for known in available_timezones()}
    near = get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.7)
    hint = f": did you mean {by_lower_case[near[0]]!r}?" if near else ""
    raise ValueError(f"unknown time zone {name!r}{hint}")


def wall_clock(instant: int, zone: ZoneInfo) -> datetime:
    """Tell what the clock shows at *instant*, naive, its fold set to 1 in the second pass of a repeated hour."""
    return datetime.fromtimestamp(instant, zone).replace(tzinfo=None)


def offsets(wall: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """Return the offsets from UTC, s, before and after the change *wall* lies in: the same one twice outside of any.

    The first is smaller when the clock skips *wall*, larger when it shows it twice.
    """
    return _offset(wall, zone, fold=0), _offset(wall, zone, fold=1)


def offset_at(instant: int, zone: ZoneInfo) -> int:
    """Return the offset from UTC, s, at *instant*."""
    offset = datetime.fromtimestamp(instant, zone).utcoffset()
    return 0 if offset is None else offset // _SECOND


def reading(wall: datetime, offset: int) -> int:
    """Return the instant at which a clock with this offset, s, shows *wall*."""
    return (wall - _EPOCH) // _SECOND - offset


def showing(instant: int, offset: int) -> datetime:
    """Tell what a clock with this offset, s, shows at *instant*: the inverse of `reading`."""
    return _EPOCH + timedelta(seconds=instant + offset)


def change_around(wall: datetime, zone: ZoneInfo) -> int:
    """Find the change that skips or repeats *wall*: the first instant with the new offset, bisected in 12 steps."""
    before, after = offsets(wall, zone)
    old, new = sorted((reading(wall, before), reading(wall, after)))
    while new - old > 1:
        middle = (old + new) // 2
        shown = datetime.fromtimestamp(middle, zone).utcoffset()
        if shown == timedelta(seconds=after):
            new = middle
        else:
            old = middle
    return new


def first_instant(wall: datetime, zone: ZoneInfo) -> int:
    """Return the first instant that shows *wall*, or, if the clock skips it, the first one after the gap."""
    before, after = offsets(wall, zone)
    return change_around(wall, zone) if before < after else reading(wall, before)


def _offset(wall: datetime, zone: ZoneInfo, fold: int) -> int:
    offset = wall.replace(tzinfo=zone, fold=fold).utcoffset()
    return 0 if offset is None else offset // _SECOND
