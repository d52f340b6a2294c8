"""Reads and writes instants, ms since the epoch, as ISO 8601 text."""

import re
from datetime import UTC, datetime, timedelta

from taglane.model.zone import find_zone, first_instant

_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse_instant(text: str, tz: str = "UTC") -> int:
    """Return the ms of `2026-11-22T09:00:00Z`, `…+01:00`, or, without an offset, of that time in *tz*.

    Seconds and milliseconds may be left out. A local time that DST skips is the first instant after the gap; one that
    it repeats is the first of the two. Raises ValueError with a sentence for the user.
    """
    zone = find_zone(tz)
    found = _INSTANT.fullmatch(text)  # fromisoformat alone takes much more: weeks, basic format, any separator
    try:
        moment = datetime.fromisoformat(text.upper() if found else "")
    except ValueError as error:
        raise ValueError(f"{text!r} is not an instant: write it like 2026-11-22T09:00:00Z") from error
    if moment.tzinfo is not None:
        return (moment - _EPOCH) // _MILLISECOND
    return first_instant(moment.replace(microsecond=0), zone) * 1000 + moment.microsecond // 1000


def format_instant(instant: int) -> str:
    """Write `2026-11-22T09:00:00Z`, with `.mmm` only when there are odd milliseconds."""
    moment = _EPOCH + timedelta(milliseconds=instant)
    precision = "milliseconds" if instant % 1000 else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
