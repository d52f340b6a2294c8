"""Splits what a pool's worker says of its runs by the tenants whose runs they are; and judges what comes back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from taglane.errors import LibraryMissing, NodeUnavailable

if TYPE_CHECKING:
    from taglane.errors import TaglaneError
    from taglane.store.turns import Turns


def renewals(turns: Turns, visitor: str, arguments: list[Any]) -> list[tuple[str, str, list[Any]]]:
    """Split a heartbeat: each tenant is told of what is held of it."""
    executing, started = int(arguments[1]), int(arguments[2])
    marks: dict[str, list[Any]] = {}
    held: dict[str, list[Any]] = {}
    now = time.monotonic()
    after = 3 + 4 * started
    for i in range(3, after, 4):
        run, token, ran, last = arguments[i : i + 4]
        turns.started(run, token, now - ran / 1000)
        if tenant := turns.tenant_of(run, token):
            marks.setdefault(tenant, []).extend((run, token, ran, last))
    for i in range(after, len(arguments), 2):
        if tenant := turns.tenant_of(arguments[i], arguments[i + 1]):
            held.setdefault(tenant, []).extend(arguments[i : i + 2])
    return [
        (
            "renew",
            tenant,
            [visitor, executing, len(marks.get(tenant, ())) // 4, *marks.get(tenant, ()), *leases],
        )
        for tenant, leases in held.items()
    ]


def by_tenant(turns: Turns, move: str, arguments: list[Any]) -> dict[str, list[Any]]:
    """Split a move that is said of several runs by whose they are; of a run that is not held any more, leave it."""
    width, first = {"finish": (6, 0), "hand_back": (2, 1)}.get(move, (len(arguments), 0))
    found: dict[str, list[Any]] = {}
    for i in range(first, len(arguments), width):
        given = arguments[i : i + width]
        if tenant := turns.tenant_of(given[0], given[1]):
            found.setdefault(tenant, list(arguments[:first])).extend(given)
    return found


def note_said(turns: Turns, move: str, given: list[Any]) -> None:
    """Take note that a move was said of runs, which the worker does not hold any more then."""
    now = time.monotonic()
    if move == "finish":
        for i in range(0, len(given), 6):
            ran = given[i + 3]
            turns.let_go(given[i], given[i + 1], now, float(ran) if ran != "" else None)
    elif move == "hand_back":
        for i in range(1, len(given), 2):
            turns.let_go(given[i], given[i + 1], now)
    elif move in ("retry", "died"):
        turns.let_go(given[0], given[1], now)


def verdict(why: str, wait: int) -> str:
    """What a fetch means for its tenant's turns."""
    match why:
        case "":
            return "empty"
        case "running" | "paused" | "slots":
            return "park"  # it is told when there is a slot, or when it goes on
        case "rate":
            return f"park {max(1, wait)}"
        case "alone":
            return "park 100"
        case _:
            return "more"


def is_one_tenants(error: TaglaneError) -> bool:
    """Whether an error is one tenant's, by its keys or by its node of a cluster, and not the server's."""
    if isinstance(error, NodeUnavailable):
        return True
    text = str(error)
    return not isinstance(error, LibraryMissing) and ("WRONGTYPE" in text or "@user_function" in text)
