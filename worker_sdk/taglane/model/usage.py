"""What a tenant has used on a day, as the ledger counts it: runs, fires, time of workers, how long runs waited.

Durations are in a histogram whose buckets end at powers of two: bucket *n* holds what took less than 2^n ms, and at
least half of that. So a percentile is known within a factor of two, and is told as the end of its bucket.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEPT_DAYS = 35
"""For how many days the ledger of a tenant is kept."""

KEPT_JOB_DAYS = 8
"""And that of its jobs."""

OTHER_JOBS = "*"
"""Stands for the jobs for which a day's ledger had no room."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations, ms, by bucket; see the module."""

    counts: Mapping[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many durations there are."""
        return sum(self.counts.values())

    def below(self, percent: float) -> int | None:
        """Return the end, ms, of the bucket that *percent* of the durations don't exceed; None without any.

        The true percentile is less than that, and at least half of it (of the first bucket, 1 ms, it is 0).
        """
        rank, passed = max(1, math.ceil(self.total * percent / 100)), 0
        for bucket in sorted(self.counts):
            passed += self.counts[bucket]
            if passed >= rank:
                return 1 << bucket
        return None

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram({n: self.counts.get(n, 0) + other.counts.get(n, 0) for n in {*self.counts, *other.counts}})


def bucket_of(ms: int) -> int:
    """Return the bucket of a duration."""
    return max(0, ms).bit_length()


@dataclass(frozen=True, slots=True)
class DayUsage:
    """What happened on one day, UTC, of one tenant or, if *job* is given, of one of its jobs.

    Each event counts for the day on which it happened: a run that is made before midnight and ends after it is made on
    one day and ended on the next.
    """

    tenant: str
    day: date
    job: str | None = None
    made: int = 0
    """Runs that were made: fired, triggered, replayed, enqueued, or told to somebody who depends on another."""
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    dead: int = 0
    fired: int = 0
    """Due instants that were turned into runs."""
    skipped: int = 0
    """Due instants of which only a record was made: the job's last run still went, or it was too late."""
    missed: int = 0
    """Due instants that were passed over: one run, or one record, stands for them and another."""
    triggered: int = 0
    replayed: int = 0
    retried: int = 0
    """Attempts that led to another one."""
    died: int = 0
    """Attempts that ended with their worker."""
    ms: int = 0
    """For how long workers executed its attempts."""
    wait: Histogram = field(default_factory=Histogram)
    """Of each attempt that has ended, how long its run had waited when it began. Not of one job.

    It has waited since it was queued: also one that its worker lost, before or in another attempt.
    """
    late: Histogram = field(default_factory=Histogram)
    """Of each fire, how long after the due instant its run was made. Not of one job."""
    ran: Histogram = field(default_factory=Histogram)
    """Of each attempt that has ended, how long it ran. Not of one job."""

    @property
    def due(self) -> int:
        """How many instants were due."""
        return self.fired + self.skipped + self.missed

    @property
    def ended(self) -> int:
        """How many runs have ended; one that was skipped never began."""
        return self.succeeded + self.failed + self.cancelled + self.expired + self.dead

    @property
    def attempts(self) -> int:
        """How many attempts have ended of which their worker has said when they began."""
        return self.wait.total


_COUNTS = tuple(each.name for each in fields(DayUsage) if each.type == "int")
_HISTOGRAMS = tuple(each.name for each in fields(DayUsage) if each.type == "Histogram")


def read_day(tenant: str, day: date, kept: Mapping[bytes, bytes], job: str | None = None) -> DayUsage:
    """Read a day's ledger, what happened -> how often; what is none of ours, or no count, is passed over."""
    counts: dict[str, int] = {}
    buckets: dict[str, dict[int, int]] = {name: {} for name in _HISTOGRAMS}
    for key, value in kept.items():
        what, _, bucket = key.decode(errors="replace").partition(":")
        times = _number(value)
        if what in _COUNTS and not bucket:
            counts[what] = times
        elif what in buckets and bucket.isdecimal() and int(bucket) < 64:
            buckets[what][int(bucket)] = times
    if job is not None:  # of a job, each run that is made is counted as what it was made by
        counts["made"] = sum(counts.get(by, 0) for by in ("fired", "triggered", "replayed"))
    found: dict[str, Any] = {**counts, **{name: Histogram(each) for name, each in buckets.items()}}
    return DayUsage(tenant, day, job, **found)


def read_jobs(tenant: str, day: date, kept: Mapping[bytes, bytes]) -> list[DayUsage]:
    """Read what a day's ledger says of each job, ``job|what`` -> how often, by name."""
    found: dict[str, dict[bytes, bytes]] = {}
    for key, value in kept.items():
        job, _, what = key.rpartition(b"|")
        if job:
            found.setdefault(job.decode(errors="replace"), {})[what] = value
    return [read_day(tenant, day, found[job], job) for job in sorted(found)]


def total(days: Iterable[DayUsage]) -> DayUsage | None:
    """Return the sum of several days, under the first of them; None of none."""
    found: DayUsage | None = None
    for each in days:
        if found is None:
            found = each
            continue
        sums: dict[str, Any] = {name: getattr(found, name) + getattr(each, name) for name in (*_COUNTS, *_HISTOGRAMS)}
        found = DayUsage(found.tenant, min(found.day, each.day), found.job, **sums)
    return found


def key_day(day: date) -> str:
    """Return a day as the ledger's keys spell it."""
    return f"{day:%Y%m%d}"


def day_of(ms: int) -> date:
    """Return the day, UTC, of an instant."""
    return (datetime(1970, 1, 1) + timedelta(milliseconds=ms)).date()  # noqa: DTZ001 - it is UTC's


def days_between(since: date, until: date) -> list[date]:
    """Return each day from *since* to *until*, both included."""
    return [since + timedelta(days=each) for each in range((until - since).days + 1)]


def _number(text: bytes) -> int:
    try:
        return max(0, int(text))
    except ValueError:
        return 0
