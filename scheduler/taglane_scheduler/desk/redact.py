"""Covers what is not to be read in params and results: passwords, tokens, keys, by the names they have. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

MASK = "••••••"
"""Stands for what is covered."""

SECRETS = ("password", "passwd", "secret", "token", "api_?key", "private_?key", "authorization", "credential")

_DEEPEST = 64
"""Levels of nesting that are looked into; what is below is covered whole."""


@lru_cache(maxsize=64)
def _pattern(more: str) -> re.Pattern[str]:
    words = [re.escape(word.strip()) for word in more.split(",") if word.strip()]
    return re.compile("|".join([*SECRETS, *words]), re.IGNORECASE)


def redacted(value: Any, more: str = "") -> tuple[Any, int]:
    """Return *value* with the values of all keys covered that speak of secrets, at any depth, and how many those are.

    *more* are words of your own, with commas between: a key that has one of them in it is covered, too.
    """
    pattern, count = _pattern(more), 0

    def cover(value: Any, depth: int) -> Any:
        nonlocal count
        if isinstance(value, (dict, list)) and depth > _DEEPEST:
            count += 1
            return MASK
        if isinstance(value, list):
            return [cover(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        found = {}
        for key, item in value.items():
            if pattern.search(key.replace("-", "_")) and item not in (None, "", [], {}):
                count += 1
                found[key] = MASK
            else:
                found[key] = cover(item, depth + 1)
        return found

    return cover(value, 0), count


def restored(given: Any, original: Any) -> Any:
    """Return *given* with what is still covered in it as *original* has it: who edits need not see it to keep it."""
    if given == MASK:
        return original
    if isinstance(given, dict) and isinstance(original, dict):
        return {key: restored(item, original[key]) if key in original else item for key, item in given.items()}
    if isinstance(given, list) and isinstance(original, list):
        kept = [restored(item, before) for item, before in zip(given, original, strict=False)]
        return kept + given[len(kept) :]
    return given
