"""Turns due instants into runs: looks at tenants, plans, and claims, through `look`, `fire` and `expire`.

Any number of schedulers may do so at once: the server gives each due instant to one of them.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taglane.errors import LibraryMissing, TaglaneError
from taglane.model.names import SHARED, owner_of
from taglane.runtime import tracing

from taglane_scheduler.firing.clock import Reading
from taglane_scheduler.firing.planner import CALLS, Claim, DueJob, Plan, Unserved, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from opentelemetry.trace import Span
    from taglane.store.server import Server

log = logging.getLogger(__name__)

QUANTUM = 1_000  # jobs that one step takes: shared by the tenants in it, so that none waits long for another
LEAST = 32  # jobs a tenant, however many tenants there are
CHUNK = 100  # claims a call, and the rest of a job's: about 5 ms in which the server serves nobody else
RETRY_MS = 5_000  # until a tenant whose keys can't be read is looked at again
PAUSE_MS = 50  # until a tenant is looked at again that says it is due, and gave nothing to do

LIMITED_MS = 1_000  # until a tenant is looked at again that was over a limit: a claim is refused where a look was not

_FIRED, _SKIPPED, _MOVED, _LIMITED = 1, 2, 3, 4  # what `fire` answers; 0 is a lost claim


@dataclass(slots=True)
class StepReport:
    """What a step did. Instants are the server's, in ms."""

    fired: int = 0
    skipped: int = 0
    """Fires that made a record alone, a run in the state `skipped`: the last run still goes, or they were missed, or no
    worker serves the tag."""

    moved: int = 0
    """Due instants outside of the job's window: they made no run."""

    lost: int = 0
    """Claims that another scheduler won, or that a change of the job overtook."""

    limited: int = 0
    """Claims that came over a limit of their tenant, which stay due."""

    expired: int = 0
    next: dict[str, int | None] = field(default_factory=dict)
    """When each tenant has something to do again; None when nothing is known."""

    staffed: set[str] = field(default_factory=set)
    """The tenants that have workers."""

    failed: dict[str, str] = field(default_factory=dict)
    """What was wrong with a tenant that could not be served."""

    reading: Reading | None = None
    """What the server's clock showed."""

    held: bool = False
    """Whether nothing was fired, because that was not believed."""


@dataclass(slots=True)
class _Look:
    """A tenant's answer to `look`, and what it led to."""

    tenant: str
    now: int
    earliest: int | None
    late: bool
    claims: list[Claim]
    left: int | None
    done: int = 0
    limited: bool = False

    def next(self) -> int | None:
        """Return when to look again: no sooner than after a pause when there was something due and nothing to do."""
        if self.left is not None:
            return self.left  # its turn in the next step: it was not planned in this one
        if self.limited:
            return self.now + LIMITED_MS
        last = {claim.job: claim.next_due for claim in self.claims}
        instants = [due for due in last.values() if due is not None]
        if self.earliest is not None:
            instants.append(self.earliest)
        earliest = min(instants, default=None)
        if earliest is not None and earliest <= self.now and not self.done:
            return self.now + PAUSE_MS
        return earliest


class Firing:
    """Fires what is due.

    Args:
        server: with the operator's credential.
        clock: monotonic, s.
        pool_serves: whether a living worker serves a shared tag. Those workers are of no tenant, so a look at one does
            not see them.
    """

    def __init__(
        self,
        server: Server,
        clock: Callable[[], float] = time.monotonic,
        pool_serves: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._server = server
        self._clock = clock
        self._pool_serves = pool_serves
        self._known: dict[str, str] = {}

    def step(self, tenants: Sequence[str], believes: Callable[[Reading], bool] = lambda _: True) -> StepReport:
        """Fire what is due for these tenants, in two round trips; what is due beyond the quantum is in `next`.

        A tenant whose keys are corrupted is reported and logged; the others are served. What the server's clock shows
        is told to *believes* before anything is fired; if it is not believed, nothing is.

        Raises:
            ServerUnavailable: the server gives no answer. What was fired stays fired.
        """
        report = StepReport()
        looks = self._look(tenants, report)
        if report.reading is not None and not believes(report.reading):
            report.held = True
            return report
        chunks = _round_robin(looks)
        calls: list[tuple[_Look, str, list[Any]]] = [(look, "expire", []) for look in looks if look.late]
        begun: dict[str, Span] = {}
        calls += [(look, "fire", _arguments(chunk, _traced(look.tenant, chunk, begun))) for look, chunk in chunks]
        answers = self._server.calls((move, look.tenant, arguments) for look, move, arguments in calls) if calls else []
        for (look, move, arguments), answer in zip(calls, answers, strict=True):
            if isinstance(answer, TaglaneError):
                self._failed(report, look.tenant, answer, look.now)
            elif move == "expire":
                report.expired += answer
                look.done += answer
            else:
                look.done += _count(report, answer)
                _end_fired(begun, arguments, answer)
                look.limited = look.limited or _LIMITED in answer
        for look in looks:
            if look.tenant not in report.failed:
                report.next[look.tenant] = look.next()
                self._known.pop(look.tenant, None)
        return report

    def _look(self, tenants: Sequence[str], report: StepReport) -> list[_Look]:
        most = max(LEAST, QUANTUM // max(1, len(tenants)))
        sent = self._clock()
        answers = self._server.calls(("look", tenant, [most]) for tenant in tenants)
        read, wall = self._clock(), time.time() * 1000
        looks: list[_Look] = []
        calls = CALLS
        for tenant, answer in zip(tenants, answers, strict=True):
            if isinstance(answer, TaglaneError):
                self._failed(report, tenant, answer, looks[-1].now if looks else None)
                continue
            now, earliest, late, workers, jobs = answer
            report.reading = Reading(now, sent, read, wall)
            if workers:
                report.staffed.add(tenant)
            planned = self._plan(tenant, jobs, now, calls)
            calls -= planned.calls
            due = earliest if earliest >= 0 else None
            looks.append(_Look(tenant, now, due, bool(late), planned.claims, planned.left))
        return looks

    def _plan(self, tenant: str, jobs: Iterable[Sequence[bytes | None]], now: int, calls: int) -> Plan:
        listed, unreadable = _due_jobs(jobs)
        planned = plan(tenant, map(self._with_pools, listed), now=now, calls=calls)
        for name in [*unreadable, *planned.unreadable]:
            self._say_once(f"{tenant}/{name}", "job_unreadable tenant=%s job=%s", tenant, name)
        return planned

    def _with_pools(self, job: DueJob) -> DueJob:
        """Return the job as it stands when the workers of shared pools are counted."""
        if job.unserved is None:
            return job
        tag = job.unserved.tag
        return job._replace(unserved=None) if owner_of(tag) == SHARED and self._pool_serves(tag) else job

    def _failed(self, report: StepReport, tenant: str, error: TaglaneError, now: int | None) -> None:
        if isinstance(error, LibraryMissing):
            raise error
        report.failed[tenant] = str(error)
        report.next[tenant] = None if now is None else now + RETRY_MS
        self._say_once(tenant, "tenant_failed tenant=%s error=%s", tenant, error)

    def _say_once(self, what: str, event: str, *values: object) -> None:
        said = event % values
        if self._known.get(what) != said:
            self._known[what] = said
            log.error(event, *values)


def _due_jobs(jobs: Iterable[Sequence[bytes | None]]) -> tuple[list[DueJob], list[str]]:
    """Read the jobs of a `look`, and tell the names of those that nothing of ours has written.

    What a newer library says of a job behind that is passed over: its fire knows what to do.
    """
    listed, unreadable = [], []
    for entry in jobs:
        try:
            told: Any = entry[:9]
            listed.append(_due_job(*told))
        except (ValueError, TypeError, AttributeError):  # too few fields, or none where one should be
            unreadable.append((entry[0] or b"").decode(errors="replace"))
    return listed, unreadable


def _due_job(  # noqa: PLR0913 - one for each field
    name: bytes,
    due: bytes,
    revision: bytes,
    created: bytes,
    schedule: bytes,
    misfire: bytes,
    tag: bytes = b"",
    policy: bytes = b"",
    expires: bytes = b"",
) -> DueJob:
    unserved = Unserved(tag.decode(), policy.decode(), expires=bool(expires)) if tag else None
    told = revision.decode(), created.decode(), schedule.decode(), misfire.decode()
    return DueJob(name.decode(), int(due), *told, unserved)


def _round_robin(looks: Iterable[_Look]) -> list[tuple[_Look, list[Claim]]]:
    """Cut each tenant's claims into chunks: the first of every tenant comes before the second of any."""
    chunks = [(number, look, chunk) for look in looks for number, chunk in enumerate(_chunks(look.claims))]
    return [(look, chunk) for _, look, chunk in sorted(chunks, key=lambda entry: entry[0])]


def _chunks(claims: Iterable[Claim]) -> list[list[Claim]]:
    """Cut between two jobs alone: so what makes up for a job's missed instants is claimed whole, or lost whole."""
    chunks: list[list[Claim]] = []
    for claim in claims:
        if not chunks or (len(chunks[-1]) >= CHUNK and chunks[-1][-1].job != claim.job):
            chunks.append([])
        chunks[-1].append(claim)
    return chunks


def _traced(tenant: str, claims: Iterable[Claim], begun: dict[str, Span]) -> dict[str, str]:
    """Begin a span for each run that is to be made, where that is traced; return the contexts, by run."""
    spans = tracing.spans()
    if spans is None:
        return {}
    contexts = {}
    for claim in claims:
        if claim.run_id and not claim.skipped and not claim.failed:
            begun[claim.run_id] = span = spans.firing(tenant, claim.tag, claim.job, claim.run_id)
            contexts[claim.run_id] = spans.context(span)
    return contexts


def _end_fired(begun: Mapping[str, Span], arguments: Sequence[Any], outcomes: Sequence[int]) -> None:
    """End the spans of the runs that were made here; those of lost claims are forgotten."""
    if begun:
        for run, outcome in zip(arguments[4::5], outcomes, strict=True):
            span = begun.get(run.partition(" ")[0])
            if span is not None and outcome == _FIRED:
                span.end()


def _arguments(claims: Iterable[Claim], contexts: Mapping[str, str]) -> list[str | int]:
    arguments: list[str | int] = []
    for claim in claims:
        arguments += (claim.job, claim.due, claim.revision, _following(claim), _run_of(claim, contexts))
    return arguments


def _following(claim: Claim) -> str:
    """Return when `fire` is told that the job is due next, and how many instants that passes over."""
    next_due = "" if claim.next_due is None else str(claim.next_due)
    return f"{next_due} {claim.missed}" if claim.missed else next_due


def _run_of(claim: Claim, contexts: Mapping[str, str]) -> str:
    """Return what `fire` is told of the run: its id, and when, where and for how long it waits, or why it does not."""
    if not (contexts or claim.delay or claim.tag or claim.skipped or claim.failed):  # nearly always
        return f"{claim.run_id} ~{claim.ttl}" if claim.ttl else claim.run_id or ""
    how = claim.skipped or (f"!{claim.failed}" if claim.failed else "")
    if not how:
        marks = (("+", claim.delay), ("~", claim.ttl), ("@", claim.tag), ("^", contexts.get(claim.run_id or "")))
        how = " ".join(f"{mark}{value}" for mark, value in marks if value)
    return f"{claim.run_id or ''} {how}".rstrip()


def _count(report: StepReport, outcomes: Sequence[int]) -> int:
    """Add what `fire` answered to the report; return how many claims were won."""
    fired, skipped, moved, limited = (outcomes.count(each) for each in (_FIRED, _SKIPPED, _MOVED, _LIMITED))
    report.fired += fired
    report.skipped += skipped
    report.moved += moved
    report.limited += limited
    report.lost += len(outcomes) - fired - skipped - moved - limited
    return fired + skipped + moved
