"""Says whether a shared tag has a worker: asked for each fire of a job that asks for one, so what it read is kept."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from taglane.model.names import pool_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.store.pools import Pools

KEPT_S = 2.0
"""For how long what was read stands."""


class Serving:
    """The pools that have workers. A dead one counts until it is claimed, a lease later.

    Args:
        pools: the pools of the server.
        clock: monotonic, s.
    """

    def __init__(self, pools: Pools, clock: Callable[[], float] = time.monotonic) -> None:
        self._pools = pools
        self._clock = clock
        self._read_at: float | None = None
        self._staffed: set[str] = set()

    def __call__(self, tag: str) -> bool:
        """Whether a worker serves a tag ``shared.<pool>``.

        Raises:
            ServerUnavailable: no answer.
        """
        self.refresh()
        return self.known(tag)

    def known(self, tag: str) -> bool:
        """Whether a worker serves a tag, as it was last read: for who may not wait for the node of a pool."""
        return self._read_at is None or pool_of(tag) in self._staffed

    def refresh(self) -> None:
        """Read which pools have workers, unless that was just done.

        Raises:
            ServerUnavailable: no answer.
        """
        now = self._clock()
        if self._read_at is None or now - self._read_at > KEPT_S:
            self._staffed = set(self._pools.staffed())
            self._read_at = now
