"""What the loop of one primary of a cluster is given: its tenants, its clock, and the wakes that are meant for it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from taglane.errors import NodeUnavailable

from taglane_scheduler.firing.wakes import MOST, Wake
from taglane_scheduler.listening import SLICE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taglane.store.server import Server

    from taglane_scheduler.firing.lookout import Lookout


class ShardRoster:
    """The tenants whose slot one primary has. It asks that node for the time, and no other for anything.

    A tenant may move at any time. Whose loop finds that one is no longer its own hands it on; two that both take one
    for theirs do no harm, since each due instant is given away once, by the node that has the tenant.

    Args:
        server: the cluster, with the operator's credential.
        shard: the primary's id.
        lookout: knows all tenants, and the other schedulers.
    """

    def __init__(self, server: Server, shard: str, lookout: Lookout) -> None:
        self._server = server
        self._shard = shard
        self._lookout = lookout

    @property
    def me(self) -> str:
        """The id of this scheduler."""
        return self._lookout.me

    def time(self) -> int:
        """Return that node's time, ms: each has a clock of its own.

        Raises:
            ServerUnavailable: no answer.
        """
        with self._server.renamed("reading the node's time"):
            seconds, micros = node_of(self._server, self._shard).time()
        return int(seconds) * 1000 + int(micros) // 1000

    def beat(self, at: float, *, serves: bool = True) -> int:  # noqa: ARG002 - that we live, the lookout says
        """Return that node's time, ms.

        Raises:
            ServerUnavailable: no answer.
        """
        return self.time()

    def tenants(self) -> set[str]:
        """Return the tenants that are this shard's, as far as is known."""
        return {tenant for tenant in self._lookout.tenants if self._is_ours(tenant)}

    def has(self, name: str) -> bool:
        """Say whether that is a tenant of this shard."""
        return name in self._lookout.tenants and self._is_ours(name)

    def keep(self, tenants: Sequence[str]) -> Sequence[str]:
        """Return those of these tenants that are still ours; the others are handed on."""
        ours = [tenant for tenant in tenants if self._is_ours(tenant)]
        if len(ours) < len(tenants):
            self._lookout.hand_on(set(tenants).difference(ours))
        return ours

    def delay(self, tenant: str) -> int:
        """Return how long, ms, to leave a due instant of *tenant* to another scheduler."""
        return self._lookout.delay(tenant)

    @property
    def company(self) -> int:
        """How many schedulers share the tenants, we among them."""
        return self._lookout.company

    def inherited(self, tenants: Iterable[str]) -> list[str]:  # noqa: ARG002
        """None: the lookout hands on what we inherit."""
        return []

    def leave(self) -> None:
        """Nothing: the lookout says when we go."""

    def _is_ours(self, tenant: str) -> bool:
        return self._server.shard_of(tenant) == self._shard


class Inbox:
    """The wakes that are meant for one loop: others put them in, from their threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._there = threading.Condition()
        self._wakes: list[Wake] = []

    def subscribe(self) -> None:
        """Nothing: it hears from the beginning."""

    def put(self, wakes: Iterable[Wake]) -> None:
        """Tell the loop."""
        with self._there:
            self._wakes.extend(wakes)
            self._there.notify()

    def wait(self, seconds: float, stopping: threading.Event) -> list[Wake]:
        """Wait until there is a wake, the time is over or we are to stop; return the wakes that are there."""
        until = self._clock() + seconds
        with self._there:
            while not self._wakes and not stopping.is_set() and (left := until - self._clock()) > 0:
                self._there.wait(min(left, SLICE_S))
            taken, self._wakes = self._wakes[:MOST], self._wakes[MOST:]
        return taken

    def close(self) -> None:
        """Nothing: what comes meanwhile is as good as what was read."""


def node_of(server: Server, shard: str) -> Any:
    """Return a plain client of one primary.

    Raises:
        NodeUnavailable: it is no primary any more.
    """
    found = dict(zip(server.shards(), server.nodes(), strict=False)).get(shard)
    if found is None:
        raise NodeUnavailable(f"node {shard} of the cluster is no primary any more")
    return found
