"""Keeps what the loops of a cluster's shards share: who the tenants are, who else schedules, and who is woken.

The record of tenants and the schedulers' heartbeats lie on one node. When that one is gone, all go on with what was
last known: no new tenant is seen, and nobody's share of the tenants changes.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from taglane.errors import Refused, ServerUnavailable
from taglane.runtime.pulse import Pulse, State

from taglane_scheduler.firing.peers import BEAT_S
from taglane_scheduler.firing.roster import Roster
from taglane_scheduler.firing.wakes import Wake, Wakes

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from taglane.store.server import Server

    from taglane_scheduler.firing.shard import Inbox

log = logging.getLogger(__name__)

LIST_S = 30.0
"""Between two readings of the record of tenants, if nobody unknown says that it is one."""

HEAR_S = 1.0
BACKOFF_S = 0.5  # between two subscriptions


class Lookout:
    """What all loops of one scheduler share. `step` is for one thread, `hear` for another.

    Args:
        server: the cluster, with the operator's credential.
    """

    def __init__(self, server: Server) -> None:
        self.tenants: frozenset[str] = frozenset()
        """All tenants, as they were last read."""

        self.pulse = Pulse(name="record")
        """Whether the node answers that has the record."""

        self._server = server
        self._roster = Roster(server)
        self._wakes = Wakes(server)
        self._inboxes: dict[str, Inbox] = {}
        self._list_at = 0.0
        self._lost_at: float | None = None

    @property
    def me(self) -> str:
        """The id of this scheduler."""
        return self._roster.me

    def delay(self, tenant: str) -> int:
        """Return how long, ms, to leave a due instant of *tenant* to another scheduler."""
        return self._roster.delay(tenant)

    @property
    def company(self) -> int:
        """How many schedulers share the tenants, we among them."""
        return self._roster.company

    def tell(self, inboxes: dict[str, Inbox]) -> None:
        """Say where the loop of each shard hears of tenants."""
        self._inboxes = dict(inboxes)

    def step(self) -> None:
        """Say that we live, learn who else does, and who the tenants are.

        Raises:
            ServerUnavailable: the node that has the record gives no answer.
            Refused: the credential is not the operator's.
        """
        self.pulse.turn()
        at = time.monotonic()
        self._roster.beat(at)
        self.hand_on(self._roster.inherited(self.tenants))
        if at >= self._list_at:
            before, self.tenants = self.tenants, frozenset(self._roster.tenants())
            self._list_at = at + LIST_S
            self.hand_on(self.tenants - before)
        self.pulse.answer(State.SERVING)

    def look_out(self, stopping: threading.Event) -> None:
        """Step at the pace of a heartbeat until *stopping* is set, whatever becomes of the record."""
        while not stopping.wait(BEAT_S):
            try:
                self.step()
            except (ServerUnavailable, Refused) as error:
                if self._lost_at is None:
                    self._lost_at = time.monotonic()
                    log.warning("record_lost tenants_known=%d error=%s", len(self.tenants), error)
                continue
            except Exception:  # whatever it is: without us no new tenant would be seen
                log.exception("lookout_failed")
                continue
            if self._lost_at is not None:
                log.warning("record_back after_s=%.1f", time.monotonic() - self._lost_at)
                self._lost_at = None
        self.pulse.stop()

    def hear(self, stopping: threading.Event) -> None:
        """Pass wakes on until *stopping* is set; where some may have been lost, everybody is looked at."""
        while not stopping.is_set():
            try:
                self._wakes.subscribe()
                self.hand_on(self.tenants)
                while not stopping.is_set():
                    self.pass_on(self._wakes.wait(HEAR_S, stopping))
            except (ServerUnavailable, Refused) as error:
                log.warning("wakes_lost error=%s", error)
                stopping.wait(BACKOFF_S)
            except Exception:  # likewise: without us nobody would be woken
                log.exception("wakes_lost")
                stopping.wait(BACKOFF_S)
        self._wakes.close()

    def hand_on(self, tenants: Iterable[str]) -> None:
        """Let the loops of these tenants look at them now."""
        self.pass_on([Wake(tenant, 0) for tenant in tenants])

    def pass_on(self, wakes: Iterable[Wake]) -> None:
        """Give each wake to the loop whose tenant it is of; one of nobody that we know may be a new tenant's."""
        meant: defaultdict[str, list[Wake]] = defaultdict(list)
        for wake in wakes:
            if wake.tenant not in self.tenants:
                self._list_at = 0.0
            else:
                meant[self._server.shard_of(wake.tenant)].append(wake)
        for shard, its in meant.items():
            inbox = self._inboxes.get(shard)
            if inbox is not None:  # a loop that is yet to come begins with all of its tenants
                inbox.put(its)

    def leave(self) -> None:
        """Strike ourselves out of the schedulers, if that can be done.

        Raises:
            ServerUnavailable: no answer.
        """
        self._wakes.close()
        self._roster.leave()
