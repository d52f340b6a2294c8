"""Reads all that is kept of a tenant's past, a page at a time: its runs from the oldest on, and its ledger."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoPermissionError

from taglane.model.run import FIELDS, RunInfo, from_fields
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)

PAGE = 200
"""Runs read in one round trip; each may bring a result, and the tries, of up to 64 KB."""

DAYS = 400
"""How far back a ledger is looked for."""

_LEDGERS = (keys.ledger, keys.job_ledger)
_SPAN = 20  # days that are asked for at once whether there is anything of them


class History:
    """The past of every tenant that the server's credential reaches."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    def runs(self, tenant: str) -> Iterator[RunInfo]:
        """Yield every kept run that was made before now, whole, the oldest first; what can't be read is logged.

        A page begins with the instant at which the one before it ended, less the runs that were told of it: so whatever
        is made or trimmed meanwhile, nothing is left out or told twice.
        """
        since: float | str = "-inf"
        told: set[bytes] = set()
        until = self._now()
        while True:
            page = self._page(tenant, since, until, PAGE + len(told))
            fresh = [run_id for run_id, _ in page if run_id not in told]
            if not fresh:
                return
            yield from self._read(tenant, fresh)
            last = page[-1][1]
            ended_with = {run_id for run_id, made in page if made == last}
            told = told | ended_with if last == since else ended_with
            since = last

    def ledger(self, tenant: str) -> dict[str, Mapping[str, int | str]]:
        """Return what was counted on each day that is kept, by the day, YYYYMMDD in UTC.

        Of the tenant ``what`` -> how often, and of its jobs, for as long as that is kept, ``job|what`` -> how often.
        """
        today = datetime.fromtimestamp(self._now() / 1000, UTC)
        days = [(today - timedelta(days=back)).strftime("%Y%m%d") for back in reversed(range(DAYS))]
        spans = [days[start : start + _SPAN] for start in range(0, DAYS, _SPAN)]
        with self._server.renamed(f"reading the ledger of tenant {tenant}"):
            pipeline = self._redis.pipeline(transaction=False)
            for span in spans:
                pipeline.exists(*(key_of(tenant, day) for key_of in _LEDGERS for day in span))
            some = pipeline.execute()
            kept = [day for span, count in zip(spans, some, strict=True) if count for day in span]
            for day in kept:
                for key_of in _LEDGERS:
                    pipeline.hgetall(key_of(tenant, day))
            answers = pipeline.execute()
        found = {day: {**own, **of_jobs} for day, own, of_jobs in zip(kept, answers[::2], answers[1::2], strict=True)}
        return {
            day: {
                what.decode(errors="replace"): _count(count)
                for what, count in sorted(counted.items())
                if not what.startswith(b"|")  # how much room is left for jobs
            }
            for day, counted in found.items()
            if counted
        }

    def _now(self) -> int:
        with self._server.renamed("asking for the time"):
            seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def _page(self, tenant: str, since: float | str, until: int, most: int) -> Sequence[tuple[bytes, float]]:
        with self._server.renamed(f"listing runs of tenant {tenant}"):
            found: Sequence[tuple[bytes, float]] = self._redis.zrange(
                keys.runs(tenant), since, until, byscore=True, offset=0, num=most, withscores=True
            )
        return found

    def _read(self, tenant: str, run_ids: Sequence[bytes]) -> Iterator[RunInfo]:
        with self._server.renamed(f"reading runs of tenant {tenant}"):
            pipeline = self._redis.pipeline(transaction=False)
            for run_id in run_ids:
                pipeline.hmget(keys.run(tenant, run_id.decode(errors="replace")), FIELDS)
            rows = pipeline.execute(raise_on_error=False)
            for row in rows:
                if isinstance(row, NoPermissionError):
                    raise row
        for run_id, row in zip(run_ids, rows, strict=True):
            name = run_id.decode(errors="replace")
            try:
                found = None if isinstance(row, Exception) else from_fields(name, tenant, row)
            except ValueError:
                found = None
            if found is None:
                log.warning("key_unreadable key=%s", keys.run(tenant, name))
            else:
                yield found


def _count(value: bytes) -> int | str:
    """Return a count; what a tenant has made of it is told as it is."""
    return int(value) if value.isdigit() and len(value) < 20 else value.decode(errors="replace")
