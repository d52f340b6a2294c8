"""Reads and writes durations the way users spell them: `30s`, `5m`, `1h30m`, `250ms`, `2d`."""

import re

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
# The bound on the digits keeps a hostile text from becoming a huge integer.
_DURATION = re.compile("".join(rf"(?:([0-9]{{1,12}}){unit}(?![a-z]))?" for unit in _UNITS))


def parse_duration(text: str, *, minimum: int = 0) -> int:
    """Return the milliseconds in *text*: each unit once at most, largest first, no spaces, no sign.

    *minimum* is in ms: give 1 to refuse zero. Raises ValueError with a sentence for the user.
    """
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"{text!r} is not a duration: write it like 30s, 5m, 1h30m")
    duration = sum(int(count or 0) * size for count, size in zip(found.groups(), _UNITS.values(), strict=True))
    if duration < minimum:
        raise ValueError(f"{text!r} is too short: it takes at least {format_duration(minimum)}")
    return duration


def format_duration(duration: int) -> str:
    """Spell *duration*, ms, 0 or more, as `parse_duration` reads it back: 5400000 is `1h30m`."""
    if duration < 0:
        raise ValueError(f"a duration can't be negative: {duration} ms")
    text, rest = "", duration
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
