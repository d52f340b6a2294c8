"""Reads how tenants stand now. Script: standing."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from taglane.errors import ServerUnavailable
from taglane.model.standing import MINUTES, FailingJob, Minute, TagStanding, TenantStanding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)

BATCH = 500
"""Tenants that one round trip reads: the server serves others in between."""

MINUTE_MS = 60_000


class Standings:
    """How every tenant stands that the server's credential reaches.

    Args:
        server: a tenant's own, or the operator's.
        lease: for how long, ms, a worker may be silent that said nothing else of it.
    """

    def __init__(self, server: Server, lease: int) -> None:
        self._server = server
        self._lease = lease

    def read(self, tenants: Sequence[str]) -> list[TenantStanding]:
        """Return how these tenants stand, in their order, in a round trip for every few hundred.

        What one tenant has spoiled is told as not readable, and hides no other.

        Raises:
            ServerUnavailable: no answer at all; LibraryMissing: the server was not prepared.
            Refused: the credential is another tenant's.
        """
        found: list[TenantStanding] = []
        for start in range(0, len(tenants), BATCH):
            some = tenants[start : start + BATCH]
            answers = self._server.ask(
                "reading how tenants stand", [("standing", tenant, [self._lease]) for tenant in some]
            )
            found += [self._read(*each) for each in zip(some, answers, strict=True)]
        return found

    def _read(self, tenant: str, answer: Any) -> TenantStanding:
        if type(answer) is ServerUnavailable:  # the function itself could not go on: of this tenant alone
            log.warning("standing_unreadable tenant=%s why=%s", tenant, answer)
            return TenantStanding(tenant, readable=False)
        if isinstance(answer, Exception):
            raise answer
        return read_standing(tenant, answer)


def read_standing(tenant: str, answer: Sequence[Any]) -> TenantStanding:
    """Read what the function answers."""
    (
        now,
        state,
        running,
        workers,
        dead,
        jobs,
        capped,
        readable,
        told,
        silent,
        stalled,
        failing,
        overdue,
        first,
        death,
        minutes,
    ) = answer
    tags = tuple(sorted((_tag(*each) for each in told), key=lambda each: each.tag))
    waits = [each.oldest for each in tags if each.oldest is not None]
    return TenantStanding(
        tenant=tenant,
        state=state.decode(errors="replace"),
        tags=tuple(each for each in tags if _is_something(each)),
        queued=sum(each.queued for each in tags),
        delayed=sum(each.delayed for each in tags),
        running=running,
        oldest=max(waits, default=None),
        workers=workers,
        stalled=stalled,
        dead=dead,
        jobs=jobs,
        recent=_recent(now, minutes),
        at_limit=bool(capped),
        readable=bool(readable),
        at=now,
        stalled_workers=tuple(sorted(_text(each) for each in silent)),
        failing=tuple(FailingJob(_text(job), _number(streak), _number(since)) for job, streak, since in failing),
        overdue=overdue,
        first_due=(_text(first[0]), _number(first[1])) if first else None,
        last_death=_number(death) if _number(death) >= 0 else None,
    )


def _tag(tag: bytes, *counts: int) -> TagStanding:
    by_step, (delayed, parked, running, oldest, workers, slots) = counts[:4], counts[4:]
    return TagStanding(
        tag=tag.decode(errors="replace"),
        queued=sum(by_step),
        by_step=(by_step[0], by_step[1], by_step[2], by_step[3]),
        delayed=delayed,
        parked=parked,
        running=running,
        oldest=oldest if oldest >= 0 else None,
        workers=workers,
        slots=slots,
    )


def _is_something(each: TagStanding) -> bool:
    return bool(each.queued or each.delayed or each.parked or each.running or each.workers)


def _recent(now: int, minutes: Sequence[Any]) -> tuple[Minute, ...]:
    if not minutes:
        return _idle_hour(now // MINUTE_MS)
    counted = {at: (_number(succeeded), _number(failed)) for at, succeeded, failed in minutes}
    last = now // MINUTE_MS
    return tuple(
        Minute(minute * MINUTE_MS, *counted[minute]) if minute in counted else _idle(minute)
        for minute in range(last - MINUTES + 1, last + 1)
    )


@lru_cache(maxsize=4 * MINUTES)  # most minutes of most tenants are idle
def _idle(minute: int) -> Minute:
    return Minute(minute * MINUTE_MS)


@lru_cache(maxsize=2)
def _idle_hour(last: int) -> tuple[Minute, ...]:
    return tuple(_idle(minute) for minute in range(last - MINUTES + 1, last + 1))


def _text(value: bytes) -> str:
    return value.decode(errors="replace")[:200]


def _number(value: bytes | float) -> int:
    """Read a number that a tenant may have spoiled: what is none is 0."""
    try:
        return min(max(int(float(value)), -1), 1 << 53)
    except (ValueError, OverflowError):
        return 0
