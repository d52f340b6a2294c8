"""What a server never takes, such as more bytes than it reads at once: something smaller is said in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu.utils.json import dumps

from taglane.runtime.carry import UNTOLD, error_fields, error_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.runtime.outbox import Call

FINISH_WIDTH = 6
"""Arguments of one end of a run; see `Finish`."""


class EndRefused(RuntimeError):
    """The server did not take the end of a run as it was."""


def singly(calls: Sequence[Call]) -> list[Call]:
    """Return the same calls, with one end of a run in each."""
    found: list[Call] = []
    for move, given in calls:
        width = FINISH_WIDTH if move == "finish" else max(1, len(given))
        found += [(move, given[at : at + width]) for at in range(0, len(given), width)]
    return found


def instead(call: Call, why: str) -> Call | None:
    """Return what is said in the place of one call that the server never takes; None when it is left out."""
    move, given = call
    if move not in ("finish", "retry") or EndRefused.__qualname__ in str(given[4]):
        return None
    size = sum(len(str(value)) for value in given)
    message = f"the server took no word of its end, of {size} bytes: {why}"
    run, token, kind, ran, part = given[0], given[1], "failed", "", UNTOLD
    if move == "finish":
        kind, ran, part = "failed" if given[2] == "succeeded" else given[2], given[3], _short(given[5], message)
    return "finish", [run, token, kind, ran, error_json(EndRefused, [message]), part]


def _short(part: str, message: str) -> str:
    if part in ("", UNTOLD):
        return part
    place, group, _ = part.split(" ", 2)
    outcome: dict[str, Any] = {"s": "FAILURE", "r": error_fields(EndRefused, [message]), "id": place.partition(":")[2]}
    return f"{place} {group} {dumps(outcome)}"
