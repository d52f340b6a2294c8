"""Keeps the tenants' limits, and whether a tenant is paused or draining: the operator writes them. Script: govern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from taglane.model.limits import FIELDS, Limits, change_limits, read_limits
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane.store.server import Server

BATCH = 500
"""Tenants of one round trip."""

State = Literal["", "paused", "draining"]
"""What a tenant does: everything; no fires and no fetches; no fires and no enqueues, until its queues are empty."""


class Load(NamedTuple):
    """What a tenant has to do, as its limits count it."""

    waiting: int
    """Runs that are queued, delayed or parked."""
    held: int
    """Runs that workers hold."""


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

    def of_tenants(self, names: Sequence[str]) -> dict[str, Limits]:
        """Return the limits of those of the names that are tenants, in one round trip; takes the operator's."""
        if not names:
            return {}
        with self._server.renamed("reading limits", operator=True):
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.hmget(keys.TENANTS, names)
            for name in names:
                pipeline.hgetall(keys.limits(name))
            records, *kept = pipeline.execute()
        return {
            name: read_limits(_decoded(each))
            for name, record, each in zip(names, records, kept, strict=True)
            if record is not None
        }

    def change(self, tenant: str, given: Mapping[str, Any]) -> Limits:
        """Change some limits of a tenant, see `change_limits`; what others change beside these stays. Returns all.

        Raises:
            BadLimit: no limit is called that, or it can't be that: nothing was written.
        """
        wanted = change_limits(self.get(tenant), given)
        kept = wanted.kept()
        self._govern({tenant: {name: kept.get(name, "") for name in given}})
        return wanted

    def put(self, tenant: str, limits: Limits) -> None:
        """Write a tenant's limits, in place of those it has; takes the operator's credential."""
        self.put_many({tenant: limits})

    def put_many(self, limits: Mapping[str, Limits]) -> None:
        """Write the limits of many tenants, in force from each one's next call; in batches of one round trip.

        Raises:
            OperatorNeeded: the credential is a tenant's own.
        """
        self._govern({tenant: dict.fromkeys(FIELDS, "") | wanted.kept() for tenant, wanted in limits.items()})

    def put_state(self, tenant: str, state: State) -> None:
        """Let a tenant pause, drain, or with '' go on; takes the operator's credential."""
        self._govern({tenant: {"state": state}})

    def state(self, tenant: str) -> State:
        """Return what a tenant does."""
        return self.states([tenant])[tenant]

    def states(self, tenants: Sequence[str]) -> dict[str, State]:
        """Return what each of these tenants does; of many, nothing is said of one whose node of a cluster is gone."""
        asked = self._server.reachable(tenants) if len(tenants) > 1 else tenants
        kept = self._read(asked)
        return {
            tenant: state if (state := kept.get(tenant, {}).get("state")) in ("paused", "draining") else ""  # type: ignore[misc]
            for tenant in tenants
        }

    def load(self, tenant: str) -> Load:
        """Return what a tenant has to do."""
        with self._server.renamed("counting runs"):
            pipeline = self._redis.pipeline(transaction=False)
            for key in (keys.runs(tenant), keys.ended(tenant), keys.dead(tenant), keys.leases(tenant)):
                pipeline.zcard(key)
            runs, ended, dead, held = pipeline.execute()
        return Load(max(0, runs - ended - dead - held), held)

    def _govern(self, changes: Mapping[str, Mapping[str, str]]) -> None:
        tenants = list(changes)
        with self._server.renamed("writing limits", operator=True):
            for start in range(0, len(tenants), BATCH):
                pipeline = self._redis.pipeline(transaction=False)
                for tenant in tenants[start : start + BATCH]:
                    said = [text for field in changes[tenant].items() for text in field]
                    pipeline.execute_command("FCALL", "taglane_govern", 1, keys.prefix(tenant), *said)
                pipeline.execute()

    def _read(self, tenants: Sequence[str]) -> dict[str, dict[str, str]]:
        with self._server.renamed("reading limits"):
            pipeline = self._redis.pipeline(transaction=False)
            for tenant in tenants:
                pipeline.hgetall(keys.limits(tenant))
            answers = pipeline.execute()
        return {tenant: _decoded(answer) for tenant, answer in zip(tenants, answers, strict=True)}


def _decoded(kept: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in kept.items()}
