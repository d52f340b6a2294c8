"""Keeps the tenants' limits, and whether a tenant is paused or draining: whoever may read them, the operator writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from taglane.model.limits import Limits, read_limits
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane.store.server import Server

State = Literal["", "paused", "draining"]
"""What a tenant does: everything; no fires and no fetches; no fires and no enqueues, until its queues are empty."""


class LimitStore:
    """The limits of every tenant that the server's credential reaches."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    def get(self, tenant: str) -> Limits:
        """Return a tenant's limits."""
        return self.get_many([tenant])[tenant]

    def get_many(self, tenants: Sequence[str]) -> dict[str, Limits]:
        """Return the limits of each of these tenants."""
        return {tenant: read_limits(kept) for tenant, kept in self._read(tenants).items()}

    def put(self, tenant: str, limits: Limits) -> None:
        """Write a tenant's limits, in place of those it has; takes the operator's credential."""
        self.put_many({tenant: limits})

    def put_many(self, limits: Mapping[str, Limits]) -> None:
        """Write the limits of many tenants, in force from each one's next call."""
        with self._server.renamed("writing limits", operator=True):
            pipeline = self._redis.pipeline(transaction=False)
            for tenant, wanted in limits.items():
                kept = wanted.kept()
                gone = [name for name in Limits.__dataclass_fields__ if name not in kept]
                if kept:
                    pipeline.hset(keys.limits(tenant), mapping=kept)
                if gone:
                    pipeline.hdel(keys.limits(tenant), *gone)
            pipeline.execute()

    def state(self, tenant: str) -> State:
        """Return what a tenant does."""
        state = self._read([tenant])[tenant].get("state", "")
        return state if state in ("paused", "draining") else ""  # type: ignore[return-value]

    def _read(self, tenants: Sequence[str]) -> dict[str, dict[str, str]]:
        with self._server.renamed("reading limits"):
            pipeline = self._redis.pipeline(transaction=False)
            for tenant in tenants:
                pipeline.hgetall(keys.limits(tenant))
            answers = pipeline.execute()
        return {
            tenant: {name.decode(): value.decode() for name, value in answer.items()}
            for tenant, answer in zip(tenants, answers, strict=True)
        }
