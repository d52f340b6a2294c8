"""Decides which indexes a search looks through, and where it goes on. Pure."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from taglane.errors import BadQuery
from taglane.model.names import SHARED
from taglane.model.query import OPEN, UNWELL, matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.model.query import RunQuery

LONGEST = 1_000
"""Characters of what a page is asked for with."""


class Place(NamedTuple):
    """Where a run stands among all that is found: the later instant comes first, then the higher name."""

    at: int
    tenant: str
    run: str

    def __str__(self) -> str:
        packed = json.dumps(list(self), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def seen_by(self, tenant: str) -> tuple[str, str | bytes]:
        """Return behind which instant, and which run of it, a call goes on for a tenant, as the function takes it."""
        if tenant == self.tenant:
            return str(self.at), self.run.encode(errors="surrogateescape")
        return str(self.at), "<" if tenant > self.tenant else ""


def read_place(text: str) -> Place | None:
    """Read what `Place` spells; None for an empty text.

    Raises:
        BadQuery: it is something else.
    """
    if not text:
        return None
    try:
        at, tenant, run = json.loads(base64.urlsafe_b64decode(text[:LONGEST] + "=" * (-len(text) % 4)))
        if isinstance(at, int) and abs(at) < 1 << 53 and isinstance(tenant, str) and isinstance(run, str):
            return Place(at, tenant, run)
    except (ValueError, TypeError, RecursionError):
        pass
    raise BadQuery(text[:40], 1, text[:40], "this is no page of a search: begin with the first")


@dataclass(frozen=True, slots=True)
class Index:
    """What a search looks through in each tenant."""

    name: str
    states: frozenset[str] = frozenset()
    """States to look for: none when all that the index holds will do."""


def those_with(query: RunQuery, tenants: Sequence[str]) -> list[str]:
    """Return the tenants that may have runs which a query takes: a tag that is not shared is of one tenant alone."""
    owner, dot, _ = query.tag.removesuffix("*").partition(".")
    is_named = owner != SHARED and bool(owner) and (bool(dot) or not query.tag.endswith("*"))
    found = [tenant for tenant in tenants if matches(query.tenant, tenant)] if query.tenant else [*tenants]
    return [tenant for tenant in found if owner == tenant] if is_named else found


def indexes_of(query: RunQuery) -> list[Index]:
    """Return the indexes that hold all that a query may take, the narrowest that there are."""
    states = query.states
    if states and states <= OPEN:
        return [Index("open", states)]
    if not query.is_of_ended:
        return [Index("last" if query.job and not query.job.endswith("*") else "runs", states)]
    if states == {"skipped"}:
        return [Index("skipped")]
    narrow = states <= UNWELL
    found = [Index("unwell" if narrow else "ended", frozenset() if states == UNWELL else states)]
    if "dead" in states:  # those that were replayed are history
        found.append(Index("dead"))
    return found
