"""A shared pool moved by hand: its keeper, its workers, and what each tenant got."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from taglane.client import Taglane
from taglane.model.limits import Limits
from taglane.store.limits import LimitStore
from taglane.store.pool_leases import PoolLeases
from taglane.store.pools import Pools
from taglane.store.server import Server
from taglane_scheduler.pools.keeper import PoolKeeper
from taglane_scheduler.pools.rescue import PoolRescue
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.model.envelope import Delivery

POOL, TAG = "small", "shared.small"

LAST_WORD = "test:last-word"
"""A channel on which each node of a cluster says that all is said."""


def jain(shares: list[float]) -> float:
    """Jain's index of fairness: 1 when all have the same, 1/n when one has all."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


class HandPool:
    """One pool of one server. What a run takes is said, not waited for."""

    def __init__(self, url: str) -> None:
        self.server = Server(url)
        self.pools = Pools(self.server)
        self.limits = LimitStore(self.server)
        self.client = Taglane(url)
        self.clock = 1_000.0
        self.rescue = PoolRescue(self.server, self.pools, 1_000, lambda: self.clock)
        self.keeper = PoolKeeper(Server(url), self.pools, self.limits, self.rescue, lambda: self.clock)
        self.workers: list[PoolLeases] = []

    @property
    def redis(self) -> Any:
        return self.server.redis

    def tenants(self, *names: str, **limits: Any) -> None:
        """Create tenants, with these limits."""
        for name in names:
            Tenants(self.server).create(name)
            if limits:
                self.limits.put(name, Limits(**limits))

    def worker(self, name: str = "w1") -> PoolLeases:
        """A worker that has said hello."""
        leases = PoolLeases(Server(self.server.url), POOL, name)
        leases.hello({"slots": 1}, [TAG], ["a.b"], 1_000)
        self.workers.append(leases)
        return leases

    def enqueue(self, tenant: str, count: int = 1, **options: Any) -> list[str]:
        """Let a tenant ask for the pool so often."""
        return [
            run.id for run in self.client.enqueue_many("a.b", tenant=tenant, tag=TAG, params=[{}] * count, **options)
        ]

    def attend(self) -> None:
        """Let the keeper hear what was said: on a cluster, when the nodes have passed it on."""
        if self.server.clustered:
            self._await_bus()
        self.redis.ping()
        while self.keeper.step(0.05):
            pass

    def _await_bus(self) -> None:
        """Wait until the node that the keeper listens to has heard all: each node says one thing more."""
        keeper: Any = self.keeper
        listens = keeper._listening._pubsub.connection  # noqa: SLF001 - which node is its own business
        nodes: list[Any] = self.server.nodes()
        (node,) = (each for each in nodes if each.connection_pool.connection_kwargs["port"] == listens.port)
        with node.pubsub() as last:
            last.subscribe(LAST_WORD)
            heard = 0
            said = False
            while heard < len(nodes):
                message = last.get_message(timeout=10)
                assert message is not None, "the nodes of the cluster don't hear each other"
                heard += message["type"] == "message"
                if not said:
                    said = True
                    for each in nodes:
                        each.publish(LAST_WORD, "")

    def serve(
        self,
        leases: PoolLeases,
        count: int,
        ms: Callable[[str], int] = lambda _tenant: 10,
        most: int = 1,
        after: Callable[[Delivery], object] = lambda _run: None,
    ) -> list[str]:
        """Let a worker execute so many runs, fewer when there are no more; answers whose they were, in order."""
        order: list[str] = []
        idle = 0
        while len(order) < count and idle < 2:
            fetched = leases.fetch(most, [TAG], idle=True)
            assert fetched is not None
            idle = 0 if fetched.deliveries else idle + 1
            for run in fetched.deliveries:
                order.append(run.tenant)
                finish(leases, run, ms(run.tenant))
                after(run)
        return order

    def shares(self, order: list[str]) -> Counter[str]:
        return Counter(order)

    def close(self) -> None:
        self.keeper.close()
        for leases in self.workers:
            leases.close()
        self.client.server.close()
        self.server.close()


def finish(leases: PoolLeases, run: Delivery, ms: int = 10) -> None:
    """End a run that took so long."""
    leases.say([("finish", [run.run, run.token, "succeeded", ms, '{"r":1}', ""])], lambda _move, _answer: None)
