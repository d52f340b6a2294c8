"""Keeps what was last measured of each tenant: schedulers write it, commands read it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from taglane.store import keys
from taglane.store.full import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.server import Server


@dataclass(frozen=True, slots=True)
class Measure:
    """What one tenant uses; None is what the server does not say. Memory in bytes, *bandwidth* in bytes a second."""

    tenant: str
    connections: int | None
    bandwidth: float | None
    data: int | None
    """An estimate: see `footprint`, and what it leaves out."""
    buffers: int | None
    """What its connections take."""
    at: int

    @property
    def memory(self) -> int | None:
        """Data and connections together, as far as they are known."""
        known = [part for part in (self.data, self.buffers) if part is not None]
        return sum(known) if known else None


class Measures:
    """What was last measured of each tenant: schedulers write it, commands read it. Takes the operator's credential."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    def list(self) -> list[Measure]:
        """Return what is known, by tenant."""
        with self._server.renamed("what tenants use", operator=True):
            found = self._redis.hgetall(keys.WATCH)
        measures = (_read(name, text) for name, text in sorted(found.items()))
        return [measure for measure in measures if measure is not None]

    def get(self, tenant: str) -> Measure | None:
        """Return what is known of one tenant."""
        with self._server.renamed("what a tenant uses", operator=True):
            text = self._redis.hget(keys.WATCH, tenant)
        return None if text is None else _read(tenant.encode(), text)

    def put(self, measures: Sequence[Measure]) -> None:
        """Write what was measured, in place of what was before."""
        if measures:
            kept = {
                each.tenant: json.dumps({k: v for k, v in asdict(each).items() if k != "tenant"}) for each in measures
            }
            with self._server.renamed("noting what tenants use", operator=True):
                write(self._redis, "HSET", keys.WATCH, *(part for item in kept.items() for part in item))

    def forget_others(self, tenants: set[str]) -> None:
        """Drop what is known of all but these."""
        with self._server.renamed("what tenants use", operator=True):
            gone = [name for name in self._redis.hkeys(keys.WATCH) if name.decode() not in tenants]
            if gone:
                self._redis.hdel(keys.WATCH, *gone)


def _read(name: bytes, text: bytes) -> Measure | None:
    try:
        kept = json.loads(text)
        return Measure(name.decode(), *(kept[each] for each in ("connections", "bandwidth", "data", "buffers", "at")))
    except (ValueError, TypeError, KeyError):
        return None
