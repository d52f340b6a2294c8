"""Searches the kept runs of one tenant or of many, a page at a time. Script: search.

Each index of each tenant is a stream, the newest first; streams are merged by instant, tenant and id. So one place
among all says where the next page goes on, however many streams there are.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING, Any

from taglane.errors import ServerUnavailable
from taglane.model.names import tenant_of_run
from taglane.model.query import matches
from taglane.store import keys
from taglane.store.reading import read_each
from taglane.store.runs import Runs
from taglane.store.search_plan import Index, Place, indexes_of, read_place, those_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taglane.model.query import RunQuery
    from taglane.model.run import RunInfo
    from taglane.store.server import Server

VISITS = 1_000
"""Runs that one call looks at: for about 2 ms the server serves nobody else."""

PAGE_VISITS = 10_000
"""Runs that one page looks at, or a little more."""

PAGE_S = 0.05
"""Seconds after which a page looks no further: a busy server gives shorter pages, and not later ones."""

FAR = 1 << 52
"""No instant of ours, ms: a tenant may have written any number."""

FEWEST = 20
"""Runs that a call looks at in any case."""

BATCH = 500
"""Calls of one round trip."""

MANY = 500
"""Streams of which each is asked first for its newest run alone: most have none, or none that comes on this page."""

_ZSETS = {"runs": keys.runs, "ended": keys.ended, "unwell": keys.unwell, "dead": keys.dead}
"""The indexes that are kept in order."""


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some of the runs that a query takes, the newest first."""

    runs: Sequence[RunInfo]
    next: str = ""
    """What to ask the next page with; empty when there is none. Fit for a URL."""
    back_to: int | None = None
    """How far back, ms since 1970, this page has looked: when it has found little, the next goes on from there."""


@dataclass(slots=True)
class _Stream:
    """One index of one tenant: what was found in it and not yet taken, and how far it was looked through."""

    tenant: str
    index: Index
    found: deque[Place] = field(default_factory=deque)
    bound: Place | None = None
    done: bool = False

    @property
    def place(self) -> Place:
        """Nothing of it that is still to come stands before this."""
        if self.found:
            return self.found[0]
        if self.bound is None:
            raise AssertionError("a stream is read before it is merged")
        return self.bound

    def __lt__(self, other: _Stream) -> bool:
        return self.place > other.place  # a heap has the least on top, and we want the newest


class RunSearch:
    """Finds runs of the tenants that the server's credential reaches."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._runs = Runs(server)

    def page(self, query: RunQuery, tenants: Sequence[str], *, after: str = "", limit: int = 50) -> RunPage:
        """Return the newest runs that *query* takes of these tenants, *limit* at most, behind the page *after*.

        Of many tenants, those are passed over whose node of a cluster is gone.

        The work of one page is bounded: where few of very many runs match it may end before it is full, or be empty,
        and yet have a next one. A run that is not readable is passed over.

        Raises:
            BadQuery: *after* is no page of a search.
        """
        behind = read_place(after)
        if len(tenants) > 1:
            tenants = self._server.reachable(tenants)
        if query.id and not query.id.endswith("*"):
            return RunPage([] if behind else self._one(query, tenants))
        merging = _Merging(self._server, query, tenants, behind, budget=PAGE_VISITS, want=limit + 1)
        found = list(islice(merging, limit + 1))
        last = found[limit - 1] if len(found) > limit else merging.came_to
        runs = self._runs.many([(each.tenant, each.run) for each in found[:limit]])
        return RunPage(runs, str(last) if last else "", last.at if last else None)

    def ids(self, query: RunQuery, tenants: Sequence[str], most: int) -> Iterator[str]:
        """Yield the ids of what *query* takes of these tenants, the newest first, *most* of them; see `places`."""
        return (run_id for _, run_id in islice(self.places(query, tenants), most))

    def places(self, query: RunQuery, tenants: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield tenant and id of all that *query* takes of these tenants, the newest first.

        It looks through all that there is, a bounded number of runs a call.
        """
        if query.id and not query.id.endswith("*"):
            yield from ((run.tenant, run.id) for run in self._one(query, tenants))
            return
        merging = _Merging(self._server, query, tenants, None, budget=None, want=VISITS)
        yield from ((each.tenant, each.run) for each in merging if each.run.isascii())

    def _one(self, query: RunQuery, tenants: Sequence[str]) -> Sequence[RunInfo]:
        """Return the run that is named, if it is what is asked for."""
        owner = tenant_of_run(query.id)
        among = [owner] if owner in tenants else [each for each in tenants if matches(query.tenant, each)]
        now = _now(self._server)
        found = self._runs.many([(tenant, query.id) for tenant in among if tenant])
        return [run for run in found if query.takes(run, now)]


class _Merging:
    """Yields places of runs, the newest first; `came_to` says how far it came when its budget ended before all else."""

    def __init__(  # noqa: PLR0913 - the parts of a question
        self,
        server: Server,
        query: RunQuery,
        tenants: Sequence[str],
        behind: Place | None,
        *,
        budget: int | None,
        want: int,
    ) -> None:
        self._server = server
        self._query = query
        self._behind = behind
        self._left = budget
        self._want = want
        self._tenants, self._indexes = those_with(query, tenants), indexes_of(query)
        now = _now(server) if query.since or query.until else 0
        self._since, self._until = (str(moment.instant(now)) if moment else "" for moment in (query.since, query.until))
        self.came_to: Place | None = None

    def __iter__(self) -> Iterator[Place]:
        if len(self._tenants) * len(self._indexes) > MANY:
            streams = [*self._begun()]
        else:
            streams = [_Stream(tenant, index) for tenant in self._tenants for index in self._indexes]
        ends = time.monotonic() + PAGE_S
        self._read([each for each in streams if each.bound is None])
        heap = [each for each in streams if each.found or not each.done]
        heapify(heap)
        while heap:
            if heap[0].found:
                stream = heappop(heap)
                yield stream.found.popleft()
                if stream.found or not stream.done:
                    heappush(heap, stream)
                continue
            if self._left is not None and (self._left <= 0 or time.monotonic() >= ends):
                self.came_to = heap[0].place
                return
            lacking: list[_Stream] = []
            while heap and not heap[0].found and len(lacking) < BATCH:
                lacking.append(heappop(heap))
            self._read(lacking)
            for stream in lacking:
                if stream.found or not stream.done:
                    heappush(heap, stream)

    def _begun(self) -> Iterator[_Stream]:
        """Yield the streams that are not empty, and behind which instant they begin.

        Of what can't be read so, nothing is found out: it is read as all are of few.
        """
        for index in self._indexes:
            key = _ZSETS.get(index.name)
            if key is None:
                yield from (_Stream(tenant, index) for tenant in self._tenants)
                continue
            for start in range(0, len(self._tenants), BATCH):
                some = self._tenants[start : start + BATCH]
                newest = read_each(self._server, "listing runs", "ZREVRANGE", map(key, some), 0, 0, "WITHSCORES")
                for tenant, answer in zip(some, newest, strict=True):
                    if answer:  # for an empty one nothing is made: there may be ten thousand
                        yield _Stream(tenant, index, bound=self._begins(answer))

    def _begins(self, newest: Any) -> Place | None:
        if not isinstance(newest, list) or abs(at := float(newest[1])) >= FAR:
            return None
        first = Place(int(at) + 1, "", "")
        return first if self._behind is None else min(first, self._behind)

    def _read(self, streams: Sequence[_Stream]) -> None:
        """Look further through each of these."""
        for start in range(0, len(streams), BATCH):
            some = streams[start : start + BATCH]
            visits = VISITS if self._left is None else max(FEWEST, min(VISITS, self._left // (2 * len(streams))))
            want = max(1, 2 * self._want // len(streams)) if len(streams) > 1 else self._want
            calls = [("search", each.tenant, self._arguments(each, min(want, self._want), visits)) for each in some]
            owners = sorted({each.tenant for each in some})
            what = f"listing runs of {owners[0]}" if len(owners) == 1 else "listing runs"
            for stream, answer in zip(some, self._server.ask(what, calls), strict=True):
                self._take(stream, answer)

    def _arguments(self, stream: _Stream, want: int, visits: int) -> list[str | bytes | int]:
        query, place = self._query, stream.bound or self._behind
        after, tie = place.seen_by(stream.tenant) if place else ("", "")
        states = ",".join(sorted(stream.index.states))
        asked = (query.job, query.task, query.tag, query.id)
        return [stream.index.name, after, tie, self._since, self._until, want, visits, states, *asked]

    def _take(self, stream: _Stream, answer: Any) -> None:
        if type(answer) is ServerUnavailable:  # an index of this tenant holds something else than ours
            stream.done = True
            return
        if isinstance(answer, Exception):
            raise answer
        visited, done, at, run, found = answer
        if self._left is not None:
            self._left -= visited
        stream.done = bool(done)
        if run:
            stream.bound = Place(int(at), stream.tenant, run.decode(errors="surrogateescape"))
        pairs = zip(found[::2], found[1::2], strict=True)
        stream.found.extend(
            Place(int(made), stream.tenant, each.decode(errors="surrogateescape")) for each, made in pairs
        )


def _now(server: Server) -> int:
    with server.renamed("asking the time"):
        seconds, micros = server.redis.time()
    return int(seconds) * 1000 + int(micros) // 1000
