"""Decides what somebody should look at now, by how tenants stand and which alerts there are. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from taglane.model.duration import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taglane.model.standing import TenantStanding

PATIENCE_MS = 5_000
"""How long the first run of a queue has to have waited for nobody: a worker that is replaced takes a moment."""

OVERDUE_MS = 60_000
"""How late a job has to be."""

FRESH_MS = 3_600_000
"""For how long a dead letter is news."""

KINDS = ("no_worker", "stalled", "failing", "overdue", "at_limit", "paused", "dead", "unreadable")
"""What may need attention, the gravest first; alerts of other kinds come behind these."""


class Alert(Protocol):
    """One thing that is wrong, as the schedulers have found it."""

    @property
    def kind(self) -> str:
        """What it is about."""

    @property
    def tenant(self) -> str:
        """Whom; empty when it is nobody's alone."""

    @property
    def subject(self) -> str:
        """Which of the tenant's things."""

    @property
    def text(self) -> str:
        """What to say of it."""

    @property
    def since(self) -> int:
        """Since when, ms since 1970."""


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that somebody should look at."""

    kind: str
    """One of `KINDS`, or the kind of an alert."""
    tenant: str
    subject: str
    """The tag, job or worker that it is about; empty for the tenant itself."""
    text: str
    command: str
    """What shows or mends it, to be typed; may be empty."""
    since: int | None
    """Ms since 1970, where that is known."""


def attention(
    standings: Iterable[TenantStanding], alerts: Iterable[Alert] = (), *, known: Iterable[Attention] = ()
) -> list[Attention]:
    """Return what needs attention, the gravest kind first, then what has been so for the longest.

    An alert about what a standing shows anyway is told once. *known* is what `of_tenant` said of others.
    """
    found = {(each.kind, each.tenant, each.subject): each for each in known}
    for standing in standings:
        for each in of_tenant(standing):
            found.setdefault((each.kind, each.tenant, each.subject), each)
    for alert in alerts:
        key = (alert.kind, alert.tenant, alert.subject)
        if key not in found:
            found[key] = Attention(*key, alert.text, "", alert.since)
    return sorted(found.values(), key=_order)


def _order(each: Attention) -> tuple[int, int, str, str]:
    grave = KINDS.index(each.kind) if each.kind in KINDS else len(KINDS)
    return grave, each.since if each.since is not None else 0, each.tenant, each.subject


def of_tenant(standing: TenantStanding) -> Iterator[Attention]:
    """Yield what needs attention of one tenant."""
    tenant = standing.tenant
    if not standing.readable:
        yield Attention(
            "unreadable", tenant, "", "some of its keys hold something else than ours", "taglane doctor", None
        )
    if standing.state == "paused":
        waiting = standing.queued
        if waiting:
            text = f"paused, and {_runs(waiting)}{_for(standing.oldest)}"
            since = None if standing.oldest is None else standing.at - standing.oldest
            yield Attention("paused", tenant, "", text, f"taglane tenant resume {tenant}", since)
        return
    yield from _of_tags(standing)
    yield from _of_workers(standing)
    yield from _of_jobs(standing)
    if standing.at_limit and standing.queued:
        text = f"at its limit of {standing.running} runs at once, and {_runs(standing.queued)}{_for(standing.oldest)}"
        yield Attention("at_limit", tenant, "", text, f"taglane tenant show {tenant}", None)
    if standing.dead and standing.last_death is not None and standing.last_death > standing.at - FRESH_MS:
        letters = "1 dead letter" if standing.dead == 1 else f"{standing.dead} dead letters"
        text = f"{letters}, the last {_age(standing.at - standing.last_death)} ago"
        yield Attention("dead", tenant, "", text, f"taglane dead list --tenant {tenant}", standing.last_death)


def _of_tags(standing: TenantStanding) -> Iterator[Attention]:
    for tag in standing.tags:
        if tag.waits_in_vain and (tag.oldest is None or tag.oldest >= PATIENCE_MS):
            text = f"{_runs(tag.queued)} for tag {tag.tag}{_for(tag.oldest)}, and no living worker serves it"
            since = None if tag.oldest is None else standing.at - tag.oldest
            yield Attention("no_worker", standing.tenant, tag.tag, text, f"taglane worker --tag {tag.tag}", since)


def _of_workers(standing: TenantStanding) -> Iterator[Attention]:
    for worker in standing.stalled_workers:
        text = f"worker {worker} has been silent for longer than its lease"
        yield Attention("stalled", standing.tenant, worker, text, f"taglane workers --tenant {standing.tenant}", None)


def _of_jobs(standing: TenantStanding) -> Iterator[Attention]:
    tenant = standing.tenant
    for job in standing.failing:
        text = f"the last {job.streak} runs of job {job.job} did not succeed"
        yield Attention(
            "failing", tenant, job.job, text, f"taglane run list job:{job.job} --tenant {tenant}", job.since
        )
    if standing.overdue and standing.first_due and standing.state != "draining":
        name, due = standing.first_due
        late = _age(standing.at - due)
        more = f", and {standing.overdue - 1} more" if standing.overdue > 1 else ""
        text = f"job {name} should have fired {late} ago{more}: no scheduler has fired it"
        yield Attention("overdue", tenant, name, text, f"taglane job next {name} --tenant {tenant}", due)


def _runs(count: int) -> str:
    return "1 run waits" if count == 1 else f"{count} runs wait"


def _for(waited: int | None) -> str:
    return "" if waited is None else f", the first for {_age(waited)}"


def _age(ms: int) -> str:
    """Spell a time that has passed, roughly: its two largest units at most."""
    for unit in (86_400_000, 3_600_000, 60_000, 1_000):
        if ms >= unit:
            finer = {86_400_000: 3_600_000, 3_600_000: 60_000, 60_000: 1_000, 1_000: 1_000}[unit]
            return format_duration(ms // finer * finer)
    return "0s"
