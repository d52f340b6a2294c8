"""Judges what a demo did: the table of its jobs, and every fire that did not run exactly once where it should. Pure."""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import TYPE_CHECKING, Any

from taglane.model.schedule import describe, upcoming

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from taglane.model.job import Job
    from taglane.model.run import RunInfo

COLUMNS = (
    "tenant",
    "job",
    "schedule",
    "fires",
    "succeeded",
    "failed",
    "skipped",
    "waiting",
    "worker_tag",
    "p50_ms",
    "p99_ms",
)

_MOST_FIRES = 100_000  # of one job in one demo: an hour of one a second is 3,600


def rows(jobs: Iterable[Job], runs: Iterable[RunInfo]) -> list[dict[str, Any]]:
    """Return one row for each job, with `COLUMNS`; the last two say how long, ms, its runs waited to be started."""
    by_job = _by_job(runs)
    return [_row(job, by_job.get((job.tenant, job.name), [])) for job in jobs]


def waited(run: RunInfo) -> int | None:
    """Return how long, ms, a run waited: from its due instant, or its call, until a worker started it."""
    since = run.due if run.due is not None else run.queued_at
    if since is None or run.started_at is None:
        return None
    return max(0, run.started_at - since)


def ran(run: RunInfo) -> int | None:
    """Return how long, ms, a run was executed."""
    if run.started_at is None or run.finished_at is None:
        return None
    return max(0, run.finished_at - run.started_at)


def problems(
    jobs: Sequence[Job], runs: Sequence[RunInfo], tags_of: Mapping[str, Collection[str]], *, staffed: Collection[str]
) -> list[str]:
    """Return what is wrong, a sentence each; with none, every fire ran exactly once, on a worker of its own tag.

    Args:
        jobs: what was scheduled.
        runs: every run of these jobs' tenants.
        tags_of: the tags of each worker that was seen.
        staffed: the tags that have a worker; a fire for another is to wait, or to be skipped behind one that waits.
    """
    by_job = _by_job(runs)
    found = [problem for job in jobs for problem in _gaps(job, by_job.get((job.tenant, job.name), []))]
    if not runs:
        found.append("nothing was fired")
    known = {(job.tenant, job.name) for job in jobs}
    for run in runs:
        name = f"{run.tenant}/{run.job} run {run.id}"
        if (run.tenant, run.job) not in known or run.due is None:
            found.append(f"{name} is no fire of a job of this demo")
        elif run.tag in staffed:
            found += [f"{name} {wrong}" for wrong in _wrong(run, tags_of)]
        elif run.state not in {"queued", "skipped"} or run.worker is not None:
            found.append(f"{name} is {run.state} on {run.worker}, and nobody serves tag {run.tag}")
    return found


def waiting_tags(runs: Iterable[RunInfo], *, staffed: Collection[str]) -> dict[str, int]:
    """Return how many runs wait for each tag that has no worker."""
    return dict(Counter(run.tag for run in runs if run.tag not in staffed and not run.is_ended))


def percentile(values: Iterable[int], percent: int) -> int | None:
    """Return the smallest value that *percent* of them do not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def _row(job: Job, runs: Sequence[RunInfo]) -> dict[str, Any]:
    states = Counter(run.state for run in runs)
    waits = [wait for run in runs if (wait := waited(run)) is not None]
    ended = ("succeeded", "failed", "skipped")
    return {
        "tenant": job.tenant,
        "job": job.name,
        "schedule": describe(job.schedule),
        "fires": len(runs),
        **{state: states[state] for state in ended},
        "waiting": sum(not run.is_ended for run in runs),
        "worker_tag": " ".join(sorted({run.tag for run in runs if run.worker})) or None,
        "p50_ms": percentile(waits, 50),
        "p99_ms": percentile(waits, 99),
    }


def _wrong(run: RunInfo, tags_of: Mapping[str, Collection[str]]) -> list[str]:
    """Return what is wrong with one run that a worker was there for."""
    if run.state != "succeeded":
        return [f"is {run.state}: {run.error}" if run.error else f"is {run.state}"]
    worker = run.worker or ""
    wrong = []
    if run.attempt != 1 or run.deaths:
        wrong.append(f"took {run.attempt} attempts, in which {run.deaths} workers died")
    if not worker.startswith(f"{run.tenant}@"):
        wrong.append(f"was executed by {worker}, which is another tenant's")
    if run.tag not in tags_of.get(worker, ()):
        wrong.append(f"asked for tag {run.tag}, which {worker} does not serve")
    return wrong


def _gaps(job: Job, runs: Sequence[RunInfo]) -> list[str]:
    """Compare a job's fires with its schedule: each instant from the first to the last has one run."""
    name = f"{job.tenant}/{job.name}"
    dues = sorted(run.due for run in runs if run.due is not None)
    if not dues:
        return []
    found = [f"{name} has {times} runs for the instant {due}" for due, times in Counter(dues).items() if times > 1]
    count = min(len(set(dues)), _MOST_FIRES)
    expected = upcoming(job.schedule, now=dues[0] - 1, count=count, hash_id=name)
    if expected != sorted(set(dues)):
        missing = sorted(set(expected) - set(dues))
        found.append(f"{name} was not fired at {missing or 'the instants of its schedule'}")
    return found


def _by_job(runs: Iterable[RunInfo]) -> dict[tuple[str, str | None], list[RunInfo]]:
    found: dict[tuple[str, str | None], list[RunInfo]] = {}
    for run in runs:
        found.setdefault((run.tenant, run.job), []).append(run)
    return found
