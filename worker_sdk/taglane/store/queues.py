"""Reads what waits for each tag, and empties a queue. Script: purge."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.store import keys
from taglane.store.reading import read_all
from taglane.store.runs import Runs
from taglane.store.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taglane.store.server import Server


MOST_JOBS = 1_000
"""Jobs of one tenant that are asked for parked runs: of more, which have a fixed delay as a rule, any so many."""


MOST_TAGS, LONGEST_TAG = 5_000, 200
"""Tags of one tenant that are looked at, and characters of one: of more, any so many; what is longer can be none."""

BATCH = 200
"""Tags that are asked for in one round trip."""

Place = tuple[str, str]
"""A tenant and a tag."""


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """What waits for one tag of one tenant."""

    tenant: str
    tag: str
    queued: int
    """How many ids its queues hold: one that was cancelled there counts until it comes to the head."""
    delayed: int
    """How many wait for their time."""
    parked: int
    """How many wait until the run of their job before them has ended."""
    since: int | None
    """Since when, ms since 1970, the run waits that is to be served next; None where that is not known."""
    workers: int
    """How many living workers of the tenant serve the tag."""


class Queues:
    """The queues of every tenant that the server's credential reaches.

    Args:
        server: the connection.
        lease: a worker that was silent for longer, ms, serves nothing.
    """

    def __init__(self, server: Server, lease: int) -> None:
        self._server = server
        self._lease = lease
        self._workers = Workers(server)
        self._runs = Runs(server)

    def list(self, tenant: str | None = None) -> Sequence[QueueInfo]:
        """Return the queues of one tenant or of all, by tenant and tag: those that hold a run or have a worker.

        `MOST_TAGS` of one tenant: its set of tags may hold millions of names.
        """
        serving: dict[tuple[str, str], int] = {}
        for worker in self._workers.list(tenant):
            for tag in worker.tags if worker.silent <= self._lease else ():
                serving[worker.tenant, tag] = serving.get((worker.tenant, tag), 0) + 1
        tenants = [tenant] if tenant else self._runs.tenants()
        asked = self._ask([("SRANDMEMBER", keys.tags(each), MOST_TAGS) for each in tenants])
        waiting = {
            (each, tag.decode(errors="replace"))
            for each, tags in zip(tenants, asked, strict=True)
            for tag in tags or ()
        }
        parked = self._count_parked(tenants)
        places = list(_some({*waiting, *parked, *serving}))
        found = [
            queue
            for start in range(0, len(places), BATCH)
            for queue in self._look_at(places[start : start + BATCH], parked, serving)
        ]
        return [queue for queue in found if queue.queued or queue.delayed or queue.parked or queue.workers]

    def purge(self, tenant: str, tag: str, *, delayed: bool = False) -> int:
        """End, as cancelled, what is queued for a tag, and what is *delayed*; return how many runs.

        What workers hold goes on. Those who depend on a purged run are told, as of any end. The runs of a job that wait
        for the end of a purged one are purged, too; those that wait for one that goes on stay.
        """
        count, more = 0, True
        while more:
            ended, more = self._server.call("purge", tenant, tag, "1" if delayed else "")
            count += ended
        return count

    def purge_all(self, tenant: str) -> int:
        """End, as cancelled, what is queued and delayed for any tag of a tenant; see `purge`."""
        (tags,) = self._ask([("SMEMBERS", keys.tags(tenant))])
        return sum(self.purge(tenant, tag.decode(errors="replace"), delayed=True) for tag in sorted(tags or ()))

    def _count_parked(self, tenants: Sequence[str]) -> dict[tuple[str, str], int]:
        """Return how many runs of each tenant's tags are parked: all of a job's, under the tag of the first."""
        asked = self._ask([("SRANDMEMBER", keys.waiting(tenant), MOST_JOBS) for tenant in tenants])
        jobs = [
            (tenant, keys.parked(tenant, name.decode(errors="replace")))
            for tenant, names in zip(tenants, asked, strict=True)
            for name in names or ()
        ]
        answers = self._ask([*(("LLEN", key) for _, key in jobs), *(("LRANGE", key, 0, 0) for _, key in jobs)])
        heads = [
            (tenant, count, ids[0].decode(errors="replace"))
            for (tenant, _), count, ids in zip(jobs, answers[: len(jobs)], answers[len(jobs) :], strict=True)
            if count and ids
        ]
        tags = self._ask([("HGET", keys.run(tenant, run_id), "tag") for tenant, _, run_id in heads])
        found: dict[tuple[str, str], int] = {}
        for (tenant, count, _), tag in zip(heads, tags, strict=True):
            if tag:
                place = (tenant, tag.decode(errors="replace"))
                found[place] = found.get(place, 0) + count
        return found

    def _look_at(
        self, places: Sequence[Place], parked: Mapping[Place, int], serving: Mapping[Place, int]
    ) -> Iterator[QueueInfo]:
        commands: list[tuple[Any, ...]] = []
        for tenant, tag in places:
            queues = [keys.queue(tenant, tag, step) for step in keys.STEPS]
            commands += [("ZCARD", keys.delayed(tenant, tag)), *(("LLEN", queue) for queue in queues)]
            commands += [("LRANGE", queue, 0, 0) for queue in queues]
        steps, answers = len(keys.STEPS), self._ask(commands)
        rows = [answers[start : start + 1 + 2 * steps] for start in range(0, len(answers), 1 + 2 * steps)]
        firsts = [next((ids[0].decode(errors="replace") for ids in row[1 + steps :] if ids), None) for row in rows]
        asked = [
            ("HMGET", keys.run(tenant, run_id), "state", "queued_at")
            for (tenant, _), run_id in zip(places, firsts, strict=True)
            if run_id is not None
        ]
        told = iter(self._ask(asked))
        for place, (delayed, *row), first in zip(places, rows, firsts, strict=True):
            state, queued_at = (None if first is None else next(told)) or (None, None)
            yield QueueInfo(
                *place,
                queued=sum(length or 0 for length in row[:steps]),
                delayed=delayed or 0,
                parked=parked.get(place, 0),
                since=_since(state, queued_at),
                workers=serving.get(place, 0),
            )

    def _ask(self, commands: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        """Ask all at once; a key of which its tenant has made something else reads as None, and is noted."""
        return read_all(self._server, "reading the queues", commands)


def _since(state: bytes | None, queued_at: bytes | None) -> int | None:
    known = state == b"queued" and queued_at is not None and queued_at.isdigit() and len(queued_at) < 16
    return int(queued_at or 0) if known else None


def _some(places: Iterable[Place]) -> Iterator[Place]:
    """Yield places in their order, without what can be no tag, and `MOST_TAGS` of one tenant."""
    seen: Counter[str] = Counter()
    for tenant, tag in sorted(places):
        seen[tenant] += 1
        if len(tag) <= LONGEST_TAG and seen[tenant] <= MOST_TAGS:
            yield tenant, tag
