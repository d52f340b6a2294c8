"""Says whom a loop looks after, by whose clock, and how long it leaves a tenant to another scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taglane.store import keys

from taglane_scheduler.firing.peers import Peers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Protocol

    from taglane.store.server import Server

    class Company(Protocol):
        """What a loop needs to know of who there is."""

        @property
        def me(self) -> str:
            """The id of this scheduler."""

        def time(self) -> int:
            """Return the server's time, ms."""

        def beat(self, at: float, *, serves: bool = True) -> int:
            """Say that we live and serve our tenants, or not; return the server's time, ms."""

        def tenants(self) -> set[str]:
            """Return the tenants to look after."""

        def has(self, name: str) -> bool:
            """Say whether that is one of them."""

        def keep(self, tenants: Sequence[str]) -> Sequence[str]:
            """Return those that are still ours to serve."""

        def delay(self, tenant: str) -> int:
            """Return how long, ms, to leave a due instant to another scheduler."""

        @property
        def company(self) -> int:
            """How many schedulers share the tenants, we among them."""

        def inherited(self, tenants: Iterable[str]) -> list[str]:
            """Return those of *tenants* that have become ours with the last beat."""

        def leave(self) -> None:
            """Say that we go."""


class Roster:
    """All tenants of one server, and its clock. `shard.ShardRoster` is the same for one primary of a cluster."""

    def __init__(self, server: Server, peers: Peers | None = None) -> None:
        self._server = server
        self._peers = peers or Peers(server)

    @property
    def me(self) -> str:
        """The id of this scheduler."""
        return self._peers.me

    def time(self) -> int:
        """Return the server's time, ms.

        Raises:
            ServerUnavailable: no answer.
        """
        with self._server.renamed("reading the server's time"):
            seconds, micros = self._server.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def beat(self, at: float, *, serves: bool = True) -> int:
        """Say that we live, and learn who else does; return the server's time, ms. *at* is s, on a monotonic clock.

        One that *serves* nobody for now leaves its tenants to the others.

        Raises:
            ServerUnavailable: no answer.
        """
        return self._peers.beat(at, serves=serves)

    def tenants(self) -> set[str]:
        """Return all tenants.

        Raises:
            ServerUnavailable: no answer.
        """
        with self._server.renamed("reading the tenants"):
            names: Any = self._server.redis.hkeys(keys.TENANTS)
        return {name.decode() for name in names}

    def has(self, name: str) -> bool:
        """Say whether that is a tenant: whoever wakes us may say anything.

        Raises:
            ServerUnavailable: no answer.
        """
        with self._server.renamed("looking for a tenant"):
            return bool(self._server.redis.hexists(keys.TENANTS, name))

    def keep(self, tenants: Sequence[str]) -> Sequence[str]:
        """Return those of these tenants that are ours to serve: all of them."""
        return tenants

    def delay(self, tenant: str) -> int:
        """Return how long, ms, to leave a due instant of *tenant* to another scheduler."""
        return self._peers.delay(tenant)

    @property
    def company(self) -> int:
        """How many schedulers share the tenants, we among them."""
        return self._peers.company

    def inherited(self, tenants: Iterable[str]) -> list[str]:
        """Return those of *tenants* that have become ours with the last beat, since another's counter stands still."""
        return self._peers.inherited(tenants)

    def leave(self) -> None:
        """Strike ourselves out, so that the others need not wait.

        Raises:
            ServerUnavailable: no answer.
        """
        self._peers.leave()
