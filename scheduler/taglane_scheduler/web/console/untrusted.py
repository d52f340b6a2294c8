"""Makes what tenants wrote fit to be shown: bounded, and without what steers a terminal or turns text around. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

_STEERING = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor moves
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"
    r"|\x1b[ -/]*[0-~]?"
)
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def plain(value: Any, most: int = 8_192) -> str:
    """Return a text as it may be shown: *most* characters of it, without escape sequences, controls, and marks that
    turn the direction of writing."""  # noqa: D205, D209 - one sentence
    text = str(value)
    cut = text[: 2 * most]
    cut = _UNSEEN.sub("", _STEERING.sub("", cut.replace("\r\n", "\n")))
    if len(cut) > most or len(text) > 2 * most:
        return f"{cut[:most]}…"
    return cut


def shown_json(value: Any, most: int = 20_000) -> str:
    """Return a value as indented JSON, cut at *most* characters; what is nested too deep is told as that."""
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):
        return "…"
    if len(text) <= most:
        return plain(text, len(text) + 1)
    return f"{plain(text[:most], most + 1)}\n… +{len(text) - most}"
