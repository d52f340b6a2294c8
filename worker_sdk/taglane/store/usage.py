"""Reads the ledger: what tenants, and their jobs, have used on which day."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from taglane.model.usage import day_of, days_between, key_day, read_day, read_jobs
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date

    from taglane.model.usage import DayUsage
    from taglane.store.server import Server

log = logging.getLogger(__name__)

PAGE = 500  # ledgers a round trip


class Usage:
    """The ledgers of every tenant that the server's credential reaches."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def last_days(self, count: int) -> tuple[date, date]:
        """Return the first and the last of so many days, of which the last is the server's today."""
        with self._server.renamed("asking the time"):
            seconds, _ = self._redis.time()
        today = day_of(seconds * 1000)
        return today - timedelta(days=count - 1), today

    def days(self, tenant: str, since: date, until: date) -> list[DayUsage]:
        """Return what a tenant has used on each day from *since* to *until* on which it did anything."""
        return self.days_of([tenant], since, until)

    def days_of(self, tenants: Sequence[str], since: date, until: date) -> list[DayUsage]:
        """Likewise of many tenants, one after the other."""
        return [read_day(*found) for found in self._read(keys.ledger, tenants, since, until)]

    def jobs_of(self, tenants: Sequence[str], since: date, until: date, job: str | None = None) -> list[DayUsage]:
        """Return what each job of these tenants, or the one, has used on each day on which it did anything."""
        found = [each for read in self._read(keys.job_ledger, tenants, since, until) for each in read_jobs(*read)]
        return [each for each in found if job in (None, each.job)]

    @property
    def _redis(self) -> Any:
        return self._server.redis

    def _read(
        self, key_of: Callable[[str, str], str], tenants: Sequence[str], since: date, until: date
    ) -> Iterator[tuple[str, date, Mapping[bytes, bytes]]]:
        wanted = [(tenant, day) for tenant in tenants for day in days_between(since, until)]
        for start in range(0, len(wanted), PAGE):
            page = wanted[start : start + PAGE]
            with self._server.renamed("reading usage"):
                pipeline = self._redis.pipeline(transaction=False)
                for tenant, day in page:
                    pipeline.hgetall(key_of(tenant, key_day(day)))
                answers = pipeline.execute(raise_on_error=False)
                for (tenant, day), answer in zip(page, answers, strict=True):
                    if isinstance(answer, Exception):
                        if not str(answer).startswith("WRONGTYPE"):
                            raise answer
                        log.warning("key_unreadable key=%s", key_of(tenant, key_day(day)))
                    elif answer:
                        yield tenant, day, answer
