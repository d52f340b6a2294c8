"""Reads what tenants' ledgers have counted, for who adds it up from day to day. Script: tally."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from taglane.errors import LibraryMissing, NodeUnavailable, OperatorNeeded, Refused, ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane.store.server import Server


class Tallied(NamedTuple):
    """What one tenant's ledgers have counted: what -> how often, see prelude_book.lua."""

    day: str
    """The server's, YYYYMMDD."""
    counts: Mapping[str, int]
    before: Mapping[str, int]
    """Likewise of the day that was read last; empty when it is the same."""


class Tallies:
    """The ledgers of every tenant. Takes the operator's credential."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def read(self, tenants: Mapping[str, str]) -> dict[str, Tallied]:
        """Return the counts of these tenants, in one round trip; *tenants* says of each which day was read last.

        A tenant for which the server has no answer is left out.

        Raises:
            ServerUnavailable: no answer at all.
            LibraryMissing: the server was not prepared.
            OperatorNeeded: the credential is a tenant's.
        """
        answers = self._server.calls(("tally", tenant, [day]) for tenant, day in tenants.items())
        found = {}
        for tenant, answer in zip(tenants, answers, strict=True):
            if isinstance(answer, Refused) and self._server.tenant is not None:
                raise OperatorNeeded("reading what ledgers count", self._server.tenant)
            if isinstance(answer, (LibraryMissing, Refused)):
                raise answer
            if not isinstance(answer, Exception):
                day, counts, before = answer
                found[tenant] = Tallied(day.decode(), _counts(counts), _counts(before))
        if tenants and not found and not all(isinstance(answer, NodeUnavailable) for answer in answers):
            raise next((answer for answer in answers if isinstance(answer, Exception)), ServerUnavailable("no answer"))
        return found


def _counts(flat: Sequence[bytes]) -> dict[str, int]:
    return {
        what.decode(): max(0, int(float(times))) for what, times in zip(flat[::2], flat[1::2], strict=True) if times
    }
