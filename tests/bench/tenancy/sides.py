"""Sides of comparisons among ourselves: a tenant's own worker and a pool's, without limits and with them."""

from __future__ import annotations

from typing import Any

from bench.sides import TENANT, Ours
from processes import BIN
from taglane.client import Taglane
from taglane.model.limits import Limits
from taglane.store import keys
from taglane.store.limits import LimitStore
from taglane.store.server import Server
from taglane_scheduler.tenancy.record import Record

LIMITS = Limits(running=1_000, rate=1_000_000, queued=10_000_000, payload=1_000_000)
"""Of each kind that enqueues and fetches look at, and none that is met."""


class Own(Ours):
    """One tenant's own tag, served with its own credential."""

    tag = TENANT

    def __init__(self, operator_url: str, url: str) -> None:
        super().__init__(operator_url, url)
        self._server = Server(operator_url)
        self.environment = {**self.environment, "TAGLANE_URL": url}

    def clear(self) -> None:
        """Leave nothing but the tenant."""
        super().clear()
        self._redis.hset(keys.TENANTS, TENANT, Record(created=1, password_hashes=()).to_json())

    def backlog(self) -> int:
        """How many runs have not ended."""
        queue = keys.queue(TENANT, self.tag, 0)
        return sum(self._redis.pipeline(transaction=False).llen(queue).zcard(keys.leases(TENANT)).execute())

    def worker(self, pool: str, concurrency: int) -> list[str]:
        """The command of one worker."""
        options = ["-A", "bench.tasks", "-P", pool, "-c", str(concurrency), "-l", "WARNING"]
        return [str(BIN / "taglane"), "worker", "--tag", self.tag, *options]


class Limited(Own):
    """The same, with limits that it never meets."""

    def clear(self) -> None:
        """Leave nothing but the tenant and its limits."""
        super().clear()
        LimitStore(self._server).put(TENANT, LIMITS)


class Pooled(Own):
    """The same tenant alone in a shared pool, served with the operator's credential."""

    tag = "shared.small"

    def __init__(self, operator_url: str, url: str) -> None:
        super().__init__(operator_url, url)
        self.environment = {**self.environment, "TAGLANE_URL": operator_url}
        self._client: Any = Taglane(operator_url)

    def fill(self, task: str, runs: int) -> None:
        """Enqueue that many runs."""
        self._client.enqueue_many(f"bench.tasks.{task}", tenant=TENANT, tag=self.tag, params=({} for _ in range(runs)))
