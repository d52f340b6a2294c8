"""How a tenant stands now, in one reading: what waits, what goes, who works, and the last hour by minute. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MINUTES = 60
"""How many minutes `TenantStanding.recent` has."""


@dataclass(frozen=True, slots=True)
class TagStanding:
    """What waits for one tag of one tenant, and who serves it."""

    tag: str
    queued: int = 0
    """Ids in its queues: one that was cancelled there counts until it comes to the head."""
    by_step: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Of these, how many at each priority step (0, 3, 6, 9): the first is served first."""
    delayed: int = 0
    """Runs that wait for their time, retries among them."""
    parked: int = 0
    """Runs that wait until the run of their job before them has ended."""
    running: int = 0
    """Runs that workers hold; where the tenant has very many, an estimate from some of them."""
    oldest: int | None = None
    """For how long, ms, the first run of a queue has waited, of the queues the longest; None where nothing waits."""
    workers: int = 0
    """Workers of the tenant that live and serve it; of a shared tag they are the operator's, and not counted here."""
    slots: int = 0
    """How many runs these can execute at once."""

    @property
    def waits_in_vain(self) -> bool:
        """Whether something waits in its queues, and no worker of the tenant serves it."""
        return self.queued > 0 and not self.workers and not self.tag.startswith("shared.")


@dataclass(frozen=True, slots=True)
class Minute:
    """What ended in one minute."""

    at: int
    """Its beginning, ms since 1970."""
    succeeded: int = 0
    failed: int = 0
    """Runs that failed, died or expired."""


@dataclass(frozen=True, slots=True)
class FailingJob:
    """A job whose last runs failed, died or expired, one after the other."""

    job: str
    streak: int
    """How many."""
    since: int
    """When, ms since 1970, the last of them ended."""


@dataclass(frozen=True, slots=True)
class TenantStanding:
    """One tenant, now. Times are ms since 1970, durations ms."""

    tenant: str
    state: str = ""
    """``paused``, ``draining`` or empty."""
    tags: tuple[TagStanding, ...] = ()
    """By name; what holds something or is served, 64 at most."""
    queued: int = 0
    delayed: int = 0
    running: int = 0
    oldest: int | None = None
    workers: int = 0
    """Those that live."""
    stalled: int = 0
    """Those that were silent for longer than their lease: others take their runs."""
    dead: int = 0
    """Dead letters."""
    jobs: int = 0
    recent: tuple[Minute, ...] = ()
    """The last 60 minutes, the oldest first; the last of them is the one that goes on. Empty when not readable."""
    at_limit: bool = False
    """Runs wait because the tenant has as many at once as it may."""
    readable: bool = True
    """False when keys of its own hold something else than ours, or the server gave no answer for it."""
    at: int = 0
    """When it was read, by the server's clock."""
    stalled_workers: tuple[str, ...] = ()
    """The first few of the stalled."""
    failing: tuple[FailingJob, ...] = ()
    """Jobs whose last three runs or more were unwell; those with the longest streak first, 32 at most."""
    overdue: int = 0
    """How many jobs should have fired more than a minute ago."""
    first_due: tuple[str, int] | None = None
    """The job that is due first, and when."""
    last_death: int | None = None
    """When the newest dead letter died."""

    @property
    def succeeded(self) -> int:
        """Runs that succeeded within the last hour."""
        return sum(each.succeeded for each in self.recent)

    @property
    def failed(self) -> int:
        """Runs that failed, died or expired within the last hour."""
        return sum(each.failed for each in self.recent)

    @property
    def slots(self) -> int:
        """How many runs its workers can execute at once; a worker of several tags counts for the one with the most."""
        return max((each.slots for each in self.tags), default=0)
