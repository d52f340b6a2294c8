"""Applies a jobs file: checks it whole, compares it with what the server has, then writes what differs.

What a file says of its jobs, and what becomes of each, is kept in spools: so a million jobs take no more memory than
some thousand. A job is compared as its author wrote it: the anchor of a fixed rate, which the server chose, is no
difference.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from taglane.errors import BadJobsFile, CallerError, Conflict
from taglane.model.job import Job
from taglane.model.limits import spelled
from taglane.store.job_plan import Planned, Prepared, check_payload, prepare
from taglane.store.jobs import BATCH, TRIES, batches
from taglane.store.stored_job import StoredJob, UnreadJob

from taglane_scheduler.jobs_diff import Change, fields_of
from taglane_scheduler.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from taglane.errors import TaglaneError
    from taglane.model.limits import Limits
    from taglane.store.jobs import Jobs
    from taglane.store.limits import LimitStore
    from taglane.store.stored_job import KeptJob

    from taglane_scheduler.jobs_file import TenantPart

    Told = Callable[[int], None]

_MOST_SHARED = 10_000


class _Job(NamedTuple):
    """A job of the file, of which template it is, and where it stands."""

    job: Prepared
    template: str | None
    line: int
    column: int


class _Named(NamedTuple):
    """What the file says of one tenant: its jobs, and those that it has off."""

    tenant: str
    jobs: list[_Job]
    off: list[str]


class _Found(NamedTuple):
    """What becomes of a job that changes, *number* of its tenant's; *before* is its definition, if that is wanted."""

    number: int
    planned: Planned
    before: str | None


class JobsApply:
    """One jobs file on its way: `read`, then `compare`, then `write`. Nothing is written before the last.

    Args:
        jobs: the server's jobs.
        limits: its tenants' limits.
        prune: whether the jobs that the file lacks go, of the tenants that it names.
        path: the file's, for the messages.
    """

    def __init__(self, jobs: Jobs, limits: LimitStore, *, prune: bool, path: str = "jobs.yaml") -> None:
        self._path = path
        self._jobs = jobs
        self._limits = limits
        self._prune = prune
        self._said, self._found = Spool(), Spool()
        self.tenants: list[str] = []
        """All that the file names, also those without a job."""
        self.counts: Counter[str] = Counter()
        """How many jobs and limits are created, updated, unchanged, pruned."""
        self.of_limits: list[Change] = []
        """What becomes of the limits that the file names."""
        self.jobs = self.changed = self.written = 0
        """How many jobs the file has, how many of them differ from the server's, how many of those are written."""
        self._named: dict[str, Limits] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._said.close()
        self._found.close()

    def read(self, parts: Iterable[TenantPart], told: Callable[[], object] = lambda: None) -> None:
        """Take in what a file says; *told* is called after each tenant.

        Raises:
            BadJobsFile: with the place of the first mistake.
        """
        shared: dict[int, tuple[Job, Prepared]] = {}
        for part in parts:
            jobs = []
            for template, tag, made, line, column in part.jobs:
                if made.tenant == part.tenant:
                    prepared = prepare(made)
                    if template is not None and len(shared) < _MOST_SHARED:
                        shared[id(made)] = (made, prepared)
                else:
                    _, one = shared.get(id(made)) or (made, prepare(made))
                    prepared = one.of(tag)
                jobs.append((prepared, template, line, column))
            self.tenants.append(part.tenant)
            self.jobs += len(jobs)
            if part.limits is not None:
                self._named[part.tenant] = part.limits
            self._said.add((part.tenant, jobs, part.off))
            told()

    def compare(
        self,
        told: Told | None = None,
        *,
        noted: Callable[[TaglaneError], object] = lambda _: None,
        with_fields: bool = False,
    ) -> None:
        """Find out what the file changes; `changes` says it, *with_fields* with the fields of each before and after.

        Args:
            told: is told how many more jobs are compared.
            noted: is told of a job that can't be read and is not named by the file: it stays as it is.
            with_fields: whether `changes` is asked for fields.

        Raises:
            BadJobsFile: one that changes would be due never, or in the past; or its params are over the limit.
            JobTooNew: a newer Taglane wrote a job that the file names.
            ParamsOverLimit: the params of one that changes are over what its tenant may send, by the file's own limits.
        """
        for some in _by_jobs(self._read_said()):
            limits = self._compare_limits([named.tenant for named in some])
            found = self._compare_jobs(some, limits, noted, with_fields=with_fields)
            for named in some:
                changed, gone = found[named.tenant]
                self._found.add((changed, gone))
                self.changed += len(changed)
                self.counts.update(each.planned.change for each in changed)
                self.counts["unchanged"] += len(named.jobs) - len(changed)
                self.counts["pruned"] += len(gone)
            if told:
                told(sum(len(named.jobs) for named in some))

    def write(self, told: Told | None = None) -> None:
        """Write what differs: limits, then jobs in the file's order; those that go, go last.

        Asked again after it was interrupted, or failed, a new apply finds what is left. Each job is written whole.

        Args:
            told: is told how many more jobs are written.

        Raises:
            OperatorNeeded: limits change, and the credential is a tenant's own: nothing was written.
            ParamsOverLimit: a limit was lowered meanwhile: others are written.
            Conflict: others changed a job again and again: all before it are written.
        """
        changed = {each.tenant: self._named[each.tenant] for each in self.of_limits if each.is_any}
        if changed:
            self._limits.put_many(changed)
        puts = self._puts()
        while some := list(islice(puts, BATCH)):
            self._put(some)
            self.written += len(some)
            if told:
                told(len(some))
        self._jobs.delete_many((tenant, name) for tenant, name, _ in self._gone())

    def changes(self, *, with_fields: bool = False) -> Iterator[Change]:
        """Yield what `compare` has found, in the file's order: the limits, the jobs, then those that go."""
        yield from self.of_limits
        for named, (changed, _) in zip(self._read_said(), self._read_found(), strict=True):
            by_number = {each.number: each for each in changed}
            for number, each in enumerate(named.jobs):
                yield _change(named.tenant, each, by_number.get(number), with_fields=with_fields)
        for tenant, name, before in self._gone():
            yield Change(tenant, name, "pruned", _fields(tenant, name, before) if with_fields else None, None)

    def _compare_limits(self, tenants: Sequence[str]) -> dict[str, Limits]:
        """Return the limits that each tenant has, or is about to get."""
        limits = self._limits.get_many(tenants)
        for tenant in tenants:
            if tenant in self._named:
                before, after = spelled(limits[tenant]), spelled(self._named[tenant])
                change = Change(tenant, None, "unchanged" if before == after else "updated", before, after)
                self.of_limits.append(change)
                self.counts[change.change] += 1
        return {**limits, **{tenant: self._named[tenant] for tenant in tenants if tenant in self._named}}

    def _compare_jobs(
        self,
        some: Sequence[_Named],
        limits: dict[str, Limits],
        noted: Callable[[TaglaneError], object],
        *,
        with_fields: bool,
    ) -> dict[str, tuple[list[_Found], list[tuple[str, str | None]]]]:
        """Return what changes of each tenant, and what goes."""
        found: dict[str, tuple[list[_Found], list[tuple[str, str | None]]]] = {named.tenant: ([], []) for named in some}
        wanted = {(named.tenant, each.job.name): (n, each) for named in some for n, each in enumerate(named.jobs)}
        off = {(named.tenant, name) for named in some for name in named.off}
        others = [name for name in self._jobs.names([named.tenant for named in some]) if name not in wanted]
        for part in batches([*wanted, *others], BATCH):
            now, kept = self._jobs.kept(part)
            for each in kept:
                tenant, name = each.tenant, each.name
                if (tenant, name) in wanted:
                    number, asked = wanted[tenant, name]
                    planned = self._planned(asked, each, now)
                    if planned.change != "unchanged":
                        check_payload(tenant, asked.job, limits[tenant])
                        found[tenant][0].append(_Found(number, planned, _before(each) if with_fields else None))
                elif goes := self._goes(each, noted, is_off=(tenant, name) in off):
                    found[tenant][1].append((name, goes.definition if with_fields else None))
        return found

    def _planned(self, asked: _Job, kept: KeptJob, now: int) -> Planned:
        try:
            return self._jobs.plan(kept.tenant, asked.job, kept, now)
        except CallerError as error:
            told = f"{error} (job {kept.name!r} of tenant {kept.tenant!r})"
            raise BadJobsFile(self._path, asked.line, asked.column, told) from error

    def _goes(self, kept: KeptJob, noted: Callable[[TaglaneError], object], *, is_off: bool) -> Job | None:
        """Return a job that the file does not name where it is to go; of one that can't be read it is only told."""
        read = kept.read()
        if isinstance(read, StoredJob):
            return read.job if self._prune or is_off else None
        noted((read or UnreadJob(kept.tenant, kept.name)).error())
        return None

    def _put(self, puts: Sequence[tuple[str, Prepared, Planned]]) -> None:
        """Write some jobs; what others have changed since it was compared is planned anew."""
        for _ in range(TRIES):
            done = self._jobs.put_planned(puts)
            left = [(tenant, job) for (tenant, job, _), is_done in zip(puts, done, strict=True) if not is_done]
            if not left:
                return
            now, kept = self._jobs.kept([(tenant, job.name) for tenant, job in left])
            planned = [
                (tenant, job, self._jobs.plan(tenant, job, each, now))
                for (tenant, job), each in zip(left, kept, strict=True)
            ]
            puts = [each for each in planned if each[2].change != "unchanged"]
        tenant, job, _ = puts[0]
        raise Conflict(f"job {job.name!r} of tenant {tenant!r} is changed by others all the time: ask once more")

    def _puts(self) -> Iterator[tuple[str, Prepared, Planned]]:
        for named, (changed, _) in zip(self._read_said(), self._read_found(), strict=True):
            for each in changed:
                yield named.tenant, named.jobs[each.number].job, each.planned

    def _gone(self) -> Iterator[tuple[str, str, str | None]]:
        if self.counts["pruned"]:
            for tenant, (_, gone) in zip(self.tenants, self._read_found(), strict=True):
                for name, before in gone:
                    yield tenant, name, before

    def _read_said(self) -> Iterator[_Named]:
        for tenant, jobs, off in self._said:
            yield _Named(tenant, [_Job(Prepared(*job), *rest) for job, *rest in jobs], off)

    def _read_found(self) -> Iterator[tuple[list[_Found], list[tuple[str, str | None]]]]:
        for changed, gone in self._found:
            yield [_Found(number, Planned(*planned), before) for number, planned, before in changed], gone


def _by_jobs(said: Iterable[_Named]) -> Iterator[list[_Named]]:
    """Yield tenants, so many at once as have some hundred jobs."""
    some: list[_Named] = []
    for named in said:
        some.append(named)
        if sum(1 + len(each.jobs) for each in some) >= BATCH:
            yield some
            some = []
    if some:
        yield some


def _before(kept: KeptJob) -> str | None:
    read = kept.read()
    return read.job.definition if isinstance(read, StoredJob) else None


def _change(tenant: str, asked: _Job, found: _Found | None, *, with_fields: bool) -> Change:
    job, template = asked.job, asked.template
    change: Any = "unchanged" if found is None else found.planned.change
    if found is None or not with_fields:
        return Change(tenant, job.name, change, None, None, template)
    before = None if found.before is None else _fields(tenant, job.name, found.before)
    return Change(tenant, job.name, change, before, fields_of(job.job(tenant)), template)


def _fields(tenant: str, name: str, definition: str | None) -> dict[str, Any] | None:
    return None if definition is None else fields_of(Job.from_definition(tenant, name, definition))
