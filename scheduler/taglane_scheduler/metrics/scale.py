"""Says how many slots a tag's workers should have now, for an autoscaler to follow.

So many that what waits is served within `TARGET_S`, by what the tenant's runs took of late; never fewer than those that
execute now, at least one while there is anything to do, and none when there is nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from taglane.model.names import SHARED, check_tag, owner_of, pool_of
from taglane.model.usage import day_of, key_day
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane.model.standing import TagStanding
    from taglane.store.limits import LimitStore
    from taglane.store.pools import Pools
    from taglane.store.server import Server
    from taglane.store.standings import Standings
    from taglane.store.tallies import Tallies

TARGET_S = 30.0
"""Within how many seconds what waits now is to be begun."""

MEAN_S = 1.0
"""How long a run is taken to last, s, while none has ended."""

MOST_TENANTS = 1_000
"""Of those that have work for a shared pool, so many are looked at: of more, the first by name."""


@dataclass(frozen=True, slots=True)
class ScaleFigures:
    """What an autoscaler needs to know of a tag."""

    tag: str
    backlog: int
    """Runs that could begin now, if somebody served them."""
    running: int
    """Runs that workers hold."""
    wanted: int
    """Slots that its workers should have, all together."""
    workers: int
    """Workers that live and serve it."""
    slots: int
    """Slots that they have."""


def wanted(backlog: int, running: int, mean: float, target: float = TARGET_S) -> int:
    """Return how many slots there should be for runs that take *mean* seconds, to begin all within *target* seconds.

    >>> wanted(backlog=600, running=4, mean=2.0)
    41
    """
    work = (backlog + running) * mean / max(mean, target)
    return max(running, math.ceil(work - 1e-9))


def mean_of(*ledgers: Mapping[str, int]) -> float:
    """Return how long an attempt took, s, by what ledgers have counted."""
    attempts = sum(times for counts in ledgers for what, times in counts.items() if what.startswith("ran:"))
    return sum(counts.get("ms", 0) for counts in ledgers) / attempts / 1000 if attempts else MEAN_S


class Scale:
    """The figures of any tag. Takes the operator's credential."""

    def __init__(
        self, server: Server, standings: Standings, tallies: Tallies, pools: Pools, limits: LimitStore
    ) -> None:
        self._server = server
        self._standings = standings
        self._tallies = tallies
        self._pools = pools
        self._limits = limits

    def of(self, tag: str, target: float = TARGET_S) -> ScaleFigures:
        """Return how much a tag has to do, and how many slots its workers should have.

        A tag of which nothing is known has nothing to do. What a tenant may have at once is the most that is wanted for
        it.

        Raises:
            BadName: it can't be a tag.
            ServerUnavailable: no answer.
        """
        pool = pool_of(tag) if owner_of(check_tag(tag)) == SHARED else None
        tenants = self._with_work(pool) if pool is not None else [owner_of(tag)]
        now, due = self._due(tenants, tag)
        yesterday = key_day(day_of(now) - timedelta(days=1))  # early in a day there is little of it
        tallied = self._tallies.read(dict.fromkeys(tenants, yesterday)) if tenants else {}
        limits = self._limits.get_many(tenants) if tenants else {}
        backlog = running = slots = 0
        found: list[TagStanding] = []
        for standing in self._standings.read(tenants) if tenants else ():
            of_tag = [each for each in standing.tags if each.tag == tag]
            waits = 0 if standing.state == "paused" else due[standing.tenant] + sum(each.queued for each in of_tag)
            runs = sum(each.running for each in of_tag)
            mean = MEAN_S
            if standing.tenant in tallied:
                mean = mean_of(tallied[standing.tenant].counts, tallied[standing.tenant].before)
            most = limits[standing.tenant].running
            asked = wanted(waits, runs, mean, target)
            slots += asked if most is None else min(asked, max(most, runs))
            backlog += waits
            running += runs
            found += of_tag
        if pool is None:
            workers, has = sum(each.workers for each in found), sum(each.slots for each in found)
        else:
            serving = [worker for each in self._pools.list() if each.name == pool for worker in each.workers]
            workers, has = len(serving), sum(worker.slots or 0 for worker in serving)
        return ScaleFigures(tag, backlog, running, slots, workers, has)

    def _with_work(self, pool: str) -> Sequence[str]:
        with self._server.renamed("listing tenants", operator=True):
            names = sorted(name.decode() for name in self._server.redis.hkeys(keys.TENANTS))
        return self._pools.with_work(pool, names)[:MOST_TENANTS]

    def _due(self, tenants: Sequence[str], tag: str) -> tuple[int, dict[str, int]]:
        """Return the server's time, ms, and how many delayed runs of each tenant could be queued, and are not yet."""
        with self._server.renamed("reading what is delayed"):
            pipeline: Any = self._server.redis.pipeline(transaction=False)
            pipeline.time()
            ((seconds, micros),) = pipeline.execute()
            now = seconds * 1000 + micros // 1000
            for tenant in tenants:
                pipeline.zcount(keys.delayed(tenant, tag), "-inf", now)
            answers = pipeline.execute(raise_on_error=False)
        return now, {
            tenant: 0 if isinstance(answer, Exception) else answer
            for tenant, answer in zip(tenants, answers, strict=True)
        }
