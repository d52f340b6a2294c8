"""Reads and writes sizes the way users spell them: `512`, `64KiB`, `10MB`, `1GiB`, in bytes."""

import re

_UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KB": 10**3, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
# The bound on the digits keeps a hostile text from becoming a huge integer.
_SIZE = re.compile(r"([0-9]{1,15}) ?([KkMGT]i?B|B|)")


def parse_size(text: str) -> int:
    """Return the bytes in *text*: a whole number, with or without a unit.

    Raises ValueError with a sentence for the user.
    """
    found = _SIZE.fullmatch(text)
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{text!r} is not a size: write it like 500kB, 64MiB, 1GiB")
    return int(found[1]) * _UNITS[found[2]]


def format_size(size: int) -> str:
    """Spell *size*, bytes, 0 or more, as `parse_size` reads it back: in the largest unit that leaves no rest."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return f"{size}B"


def about(size: float) -> str:
    """Say *size*, bytes, in three figures or so, for people: 61341696 is `58.5 MiB`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.1f} {unit}"
    return f"{size:.0f} B"
