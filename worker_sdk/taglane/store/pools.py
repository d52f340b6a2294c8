"""Reads shared pools, their workers and tenants, and tells them of tenants with work. Script: pool_wake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.model.names import SHARED
from taglane.store import keys
from taglane.store.leases import Beat, read_beat
from taglane.store.workers import FIELDS, WorkerInfo, read_worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane.model.limits import Limits
    from taglane.store.server import Server

BATCH = 1_000
"""Tenants of one round trip."""


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """A shared pool."""

    name: str
    active: int
    """Tenants that may have something to do."""
    parked: int
    """Tenants that a limit of their own keeps waiting."""
    slots_used: int
    """Runs that its workers hold."""
    workers: tuple[WorkerInfo, ...]


class Pools:
    """The shared pools of a server. Takes the operator's credential."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    def names(self) -> Sequence[str]:
        """Return the names of the pools that have had a worker, sorted."""
        with self._server.renamed("listing pools", operator=True):
            return sorted(name.decode() for name in self._redis.smembers(keys.POOLS))

    def staffed(self) -> Sequence[str]:
        """Return the names of the pools that have workers now; one whose node of a cluster gives no answer counts."""
        names = self.names()
        with self._server.renamed("listing pools", operator=True):
            pipeline = self._redis.pipeline(transaction=False)
            for name in names:
                pipeline.exists(keys.pool_workers(name))
            answers = pipeline.execute(raise_on_error=not self._server.clustered)
            return [name for name, there in zip(names, answers, strict=True) if there]

    def list(self) -> Sequence[PoolInfo]:
        """Return the pools that have had a worker, by name, with the workers that they know."""
        names = self.names()
        with self._server.renamed("listing pools", operator=True):
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.time()
            for name in names:
                pipeline.zcard(keys.pool_active(name))
                pipeline.zcard(keys.pool_parked(name))
                pipeline.hvals(keys.pool_used(name))
                pipeline.hgetall(keys.pool_workers(name))
            (seconds, micros), *rows = pipeline.execute()
            beats = [(name, rows[4 * number + 3]) for number, name in enumerate(names)]
            asked = [(name, worker) for name, workers in beats for worker in sorted(workers)]
            pipeline = self._redis.pipeline(transaction=False)
            for name, worker in asked:
                pipeline.hmget(keys.pool_worker(name, worker.decode()), FIELDS)
            found = pipeline.execute()
        now = seconds * 1000 + micros // 1000
        workers = [
            (name, read_worker(worker.decode(), "", dict(zip(FIELDS, row, strict=True)), now))
            for (name, worker), row in zip(asked, found, strict=True)
        ]
        return [
            PoolInfo(
                name,
                rows[4 * number],
                rows[4 * number + 1],
                sum(int(each) for each in rows[4 * number + 2]),
                tuple(worker for pool, worker in workers if pool == name),
            )
            for number, name in enumerate(names)
        ]

    def wake(self, pool: str, tenants: Mapping[str, Limits], *, guessed: bool = False) -> None:
        """Let tenants have turns in a pool, on the terms of their limits.

        *guessed* says that they have not said themselves that there is something new: who is parked stays so.
        """
        said = [text for tenant, limits in tenants.items() for text in (tenant, terms(limits))]
        if said:
            self._server.call_at(keys.pool_prefix(pool), "pool_wake", "1" if guessed else "", *said)

    def with_work(self, pool: str, tenants: Sequence[str]) -> Sequence[str]:
        """Return those of the tenants of which something may wait for a pool; of a node that is gone, all of its."""
        found: list[str] = []
        with self._server.renamed("looking for work of the pools", operator=True):
            for start in range(0, len(tenants), BATCH):
                batch = tenants[start : start + BATCH]
                pipeline = self._redis.pipeline(transaction=False)
                for tenant in batch:
                    pipeline.exists(keys.bell(tenant, f"{SHARED}.{pool}"))
                answers = pipeline.execute(raise_on_error=not self._server.clustered)
                found += [tenant for tenant, there in zip(batch, answers, strict=True) if there]
        return found

    def beats(self, pool: str) -> dict[str, Beat]:
        """Return the heartbeats of a pool's workers."""
        with self._server.renamed("looking after the pools", operator=True):
            found = {worker.decode(): beat for worker, beat in self._redis.hgetall(keys.pool_workers(pool)).items()}
            pipeline = self._redis.pipeline(transaction=False)
            for worker in found:
                pipeline.hget(keys.pool_worker(pool, worker), "lease")
            leases = pipeline.execute()
        return {worker: read_beat(found[worker], lease) for worker, lease in zip(found, leases, strict=True)}

    def claim_lost(self, pool: str, worker: str, beat: str) -> None:
        """Claim a worker whose counter stood still at *beat*; what it held is in `lost` from now on."""
        self._server.call_at(keys.pool_prefix(pool), "pool_lost", worker, beat)

    def lost(self, pool: str) -> dict[str, Sequence[str]]:
        """Return the lives of workers that were lost, and the tenants of which each may hold runs."""
        with self._server.renamed("looking after the pools", operator=True):
            lives = sorted(life.decode() for life in self._redis.smembers(keys.pool_lost(pool)))
            pipeline = self._redis.pipeline(transaction=False)
            for life in lives:
                pipeline.hkeys(keys.pool_visits(pool, life))
            visits = pipeline.execute()
        return {life: [each.decode() for each in tenants] for life, tenants in zip(lives, visits, strict=True)}

    def forget_lost(self, pool: str, life: str) -> None:
        """Strike out a life whose runs were taken over."""
        worker, _, number = life.rpartition(".")
        self._server.call_at(keys.pool_prefix(pool), "pool_leave", worker, number)

    def forget_tenant(self, tenant: str) -> None:
        """Strike a tenant that is deleted out of all pools; its slots are free as soon as their workers say so."""
        for pool in self.names():
            with self._server.renamed("leaving the pools", operator=True):
                pipeline = self._redis.pipeline(transaction=False)
                for zset in (keys.pool_active, keys.pool_owed, keys.pool_parked, keys.pool_resting):
                    pipeline.zrem(zset(pool), tenant)
                for table in (keys.pool_seq, keys.pool_terms, keys.pool_cost):
                    pipeline.hdel(table(pool), tenant)
                pipeline.srem(keys.pool_full(pool), tenant)
                pipeline.execute()


def terms(limits: Limits) -> str:
    """Return a tenant's terms as the pools keep them; empty for the usual ones."""
    if limits.weight is None and limits.guaranteed is None and limits.borrow is None:
        return ""
    borrow = "-" if limits.borrow is None else limits.borrow
    return f"{limits.weight or 1} {limits.guaranteed or 0} {borrow}"
