"""The client: what an application enqueues with, and waits for results."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from taglane.context import current_tenant
from taglane.errors import BadParams, RunFailed, TaglaneError, TenantMissing
from taglane.model import envelope
from taglane.model.duration import parse_duration
from taglane.model.job import make_job
from taglane.model.names import check_run_id, check_task, check_tenant, new_run_id, tag_for
from taglane.runtime import tracing
from taglane.settings import load_settings
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.runs import NewRun, Runs
from taglane.store.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taglane.model.job import JobFields
    from taglane.model.log_line import LogLine
    from taglane.model.run import RunInfo
    from taglane.store.job_plan import Put

CHUNK = 200
"""Runs a call of the enqueue script, when many are made."""

CONFIRMED = 2_000
"""Runs that are confirmed by replicas at once."""

LONGEST = 3_650 * 86_400_000
"""Ten years, ms: the most that a run may be told to wait."""


class NamedTask(Protocol):
    """Anything that knows its task's name: a Celery task."""

    name: str


class Taglane:
    """A connection to one server, with one credential: the operator's, or a tenant's own.

    Args:
        url: where to connect; default: the setting TAGLANE_URL.

    Raises:
        ExtraMissing: TAGLANE_OTEL asks for traces, and OpenTelemetry is not installed.
    """

    def __init__(self, url: str | None = None) -> None:
        self.settings = load_settings(url=url)
        tracing.want(otel=self.settings.otel)
        self.server = Server(self.settings.url, replicas=self.settings.replicas)

    @cached_property
    def runs(self) -> Runs:
        """Look for runs, wait for them, cancel them."""
        return Runs(self.server)

    @cached_property
    def jobs(self) -> Jobs:
        """Register jobs, and look at them."""
        return Jobs(self.server, self.settings.payload_limit)

    def enqueue(
        self,
        task: str | NamedTask,
        *,
        tenant: str | None = None,
        params: dict[str, Any] | None = None,
        tag: str | None = None,
        **options: Any,
    ) -> Run:
        """Make one run, and return a handle to it.

        Args:
            task: a dotted name, or the task itself.
            tenant: whose run it is; default: the tenant in reach.
            params: the task's keyword arguments.
            tag: what the run asks of a worker; default: the tenant's own tag.
            **options: see `Options`.

        Raises:
            CallerError: a name, the params or an option can't be; nothing was made.
            ServerUnavailable: the server did not answer.
            NotReplicated: the run is made, and fewer replicas have it than TAGLANE_REPLICAS asks for.
        """
        name = _name_of(task)
        owner = self._tenant(tenant, name)
        new = self._new_runs(owner, name, [{} if params is None else params], tag, Options(**options))
        if not tracing.is_on():
            ((run_id, created),) = self.runs.make(owner, new)
        else:
            with tracing.sending(owner, new) as traced:
                ((run_id, created),) = self.runs.make(owner, traced)
        return Run(run_id, self.runs, created=created, fresh=created)

    def enqueue_many(
        self,
        task: str | NamedTask,
        *,
        params: Iterable[dict[str, Any]],
        tenant: str | None = None,
        tag: str | None = None,
        **options: Any,
    ) -> list[Run]:
        """Make one run for each of *params*, in hardly more than one round trip; see `enqueue`.

        Each chunk of 200 is made whole or not at all. An idempotency key is not for many: it raises BadParams.

        Raises:
            CallerError: as of `enqueue`; nothing was made.
            OverLimit, ServerFull: some were refused; the handles to those that were made are the error's `made`.
            ServerUnavailable: the answers are lost, and what is made is not known.
        """
        name = _name_of(task)
        owner = self._tenant(tenant, name)
        how = Options(**options)
        if how.key:
            raise BadParams("one key can't stand for many runs: enqueue them one by one")
        new = self._new_runs(owner, name, params, tag, how)
        made: list[Run] = []
        for group in _chunks(new, CONFIRMED) if self.server.replicas else [new]:
            with tracing.sending(owner, group) as traced:
                calls = (
                    [argument for run in chunk for argument in run.arguments()] for chunk in _chunks(traced, CHUNK)
                )
                if not self.server.replicas:
                    answers = self.server.each("enqueue", owner, calls)
                else:
                    answers = self.server.confirmed([("enqueue", owner, arguments) for arguments in calls])
                refused = [answer for answer in answers if isinstance(answer, TaglaneError)]
                taken = [answer for answer in answers if not isinstance(answer, TaglaneError)]
                made += [Run(run_id.decode(), self.runs) for answer in taken for run_id in answer[::2]]
                if refused:
                    refused[0].made = made
                    raise refused[0]
        return made

    def put_job(
        self, name: str, *, tenant: str | None = None, task: str | NamedTask, **fields: Unpack[JobFields]
    ) -> Put:
        """Create or update one job; a job that is the same already is left as it is.

        Args:
            name: what the tenant calls it.
            tenant: whose job it is; default: the tenant in reach.
            task: a dotted name, or the task itself.
            **fields: when it is due, by exactly one of *cron*, *every*, *after*, *at*, *manual*, and how it is run: see
                `taglane.model.job.JobFields`.

        Raises:
            CallerError: a name, the schedule, the params or an option can't be; nothing was written.
            JobTooNew: a newer Taglane wrote the job that is there; nothing was written.
            ServerUnavailable: the server did not answer.
        """
        owner = self._tenant(tenant, f"job {name!r}")
        return self.jobs.put(make_job(owner, name, task=_name_of(task), **fields))

    def run(self, run_id: str) -> Run:
        """Return a handle to a run by its id; nothing is asked of the server."""
        return Run(check_run_id(run_id), self.runs)

    def close(self) -> None:
        """Close all connections."""
        self.server.close()

    def _tenant(self, given: str | None, task: str) -> str:
        tenant = given if given is not None else current_tenant() or self.server.tenant
        if tenant is None:
            raise TenantMissing(task)
        return check_tenant(tenant)

    def _new_runs(
        self, tenant: str, task: str, params: Iterable[dict[str, Any]], tag: str | None, how: Options
    ) -> list[NewRun]:
        asked, step = tag_for(tenant, tag), keys.step_of(how.priority)
        at, expires, key = _from_now(how.delay), _from_now(how.expires), how.key or ""
        return [
            NewRun(new_run_id(tenant), task, asked, self._envelope(each), step, at, expires, key) for each in params
        ]

    def _envelope(self, params: dict[str, Any]) -> str:
        if not isinstance(params, dict):
            raise BadParams(f"params must be an object, the task's keyword arguments; got {type(params).__name__}")
        packed = envelope.of_call(params)
        size = len(packed) if packed.isascii() else len(packed.encode())
        if size > self.settings.payload_limit:
            raise BadParams(
                f"params take {size} bytes, over the limit of {self.settings.payload_limit} (TAGLANE_PAYLOAD_LIMIT): "
                "store the data elsewhere and send where it is"
            )
        return packed


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is to be made. Durations are seconds, or text like ``5m``; ten years at most.

    Raises:
        BadParams: a value can't be; names the option and the value.
    """

    delay: float | str | None = None
    """How long it waits before it may be served."""
    expires: float | str | None = None
    """How long it may wait at most; after that it is `expired`."""
    priority: int = 0
    """0 is served first; rounded down to 0, 3, 6 or 9."""
    key: str | None = None
    """Idempotency: a second call with the same key, within a day, returns the first one's run."""

    def __post_init__(self) -> None:
        _check_duration("delay", self.delay, minimum=0)
        _check_duration("expires", self.expires, minimum=1)
        if type(self.priority) is not int or not 0 <= self.priority <= 9:
            raise BadParams(f"priority={self.priority!r}: it must be a whole number from 0, served first, to 9")
        if self.key is not None and (not isinstance(self.key, str) or not 0 < len(self.key) <= 200):
            raise BadParams(f"key={self.key!r}: it must be a text of 1 to 200 characters")


class Run:
    """A handle to one run. It holds no result until `wait` has fetched it."""

    def __init__(self, run_id: str, runs: Runs, *, created: bool = True, fresh: bool = False) -> None:
        self.id = run_id
        self.created = created
        """False when an idempotency key found an earlier run."""
        self._runs = runs
        self._fresh = fresh
        self._info: RunInfo | None = None

    def wait(self, timeout: float | None = None) -> Run:
        """Wait for the end, at most *timeout* seconds, and return this handle with its result.

        Raises:
            RunFailed: it ended otherwise than succeeded; carries the remote error.
            RunTimeout: it still goes on.
        """
        fresh, self._fresh = self._fresh, False
        info = self._runs.wait(self.id, timeout, fresh=fresh)
        if info.state != "succeeded":
            raise RunFailed(self.id, info.state, info.error, info.traceback)
        self._info = info
        return self

    @property
    def result(self) -> Any:
        """What the task returned; waits for it when that has not been done, and raises what `wait` does."""
        if self._info is None:
            self.wait()
        return self._info.result if self._info else None

    @property
    def info(self) -> RunInfo:
        """All that is kept of it, as of now."""
        return self._runs.get(self.id)

    @property
    def state(self) -> str:
        """Its state, as of now."""
        return self.info.state

    def logs(self, *, follow: bool = False) -> Iterator[LogLine]:
        """Yield what it has logged, printed and written to stderr; when it is followed, also what is to come.

        What is kept are the last lines; `taglane.store.logs.Logs` tells how many are not, and reads page by page.
        """
        return self._runs.logs.follow(self.id) if follow else self._runs.logs.all(self.id)

    def cancel(self) -> str:
        """End it if it waits (``cancelled``), ask its worker to stop it (``asked``), or learn that it has ``ended``.

        What came of asking, its end tells: `wait` raises RunFailed, whose error begins with ``terminated`` where the
        task was stopped. A task that its pool can't stop goes on to its end.
        """
        return self._runs.cancel(self.id)

    def retry(self) -> Run:
        """Make a new run of one that failed, died, expired or was cancelled, and return its handle.

        Raises:
            RunNotFound: it is not kept any more.
            NotReplayable: it goes on, or it succeeded.
        """
        return Run(self._runs.replay(self.id), self._runs)

    def __repr__(self) -> str:
        return f"<Run {self.id}>"


def _name_of(task: str | NamedTask) -> str:
    return check_task(task if isinstance(task, str) else getattr(task, "name", task))


def _milliseconds(duration: float | str) -> int:
    """Raise ValueError, with a sentence for the user, for what is no duration."""
    if isinstance(duration, str):
        return parse_duration(duration)
    if isinstance(duration, bool) or not isinstance(duration, (int, float)) or not math.isfinite(duration):
        raise ValueError("a duration is a number of seconds, or a text like 30s, 5m, 1h30m")
    return round(duration * 1000)


def _check_duration(option: str, duration: float | str | None, *, minimum: int) -> None:
    if duration is None:
        return
    try:
        milliseconds = _milliseconds(duration)
    except ValueError as error:
        raise BadParams(f"{option}={duration!r}: {error}") from error
    if not minimum <= milliseconds <= LONGEST:
        raise BadParams(f"{option}={duration!r}: it must be {minimum} ms or more, and ten years at most")


def _from_now(duration: float | str | None) -> str:
    return "" if duration is None else f"+{_milliseconds(duration)}"


def _chunks(items: Sequence[NewRun], size: int) -> Iterator[Sequence[NewRun]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
