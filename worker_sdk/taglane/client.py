"""The client: what an application enqueues with, and waits for results."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from taglane.context import current_tenant
from taglane.errors import BadParams, RunFailed, TenantMissing
from taglane.model import envelope
from taglane.model.duration import parse_duration
from taglane.model.names import check_run_id, check_tenant, new_run_id, tag_for
from taglane.settings import load_settings
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.runs import NewRun, Runs
from taglane.store.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taglane.model.run import RunInfo

CHUNK = 200
"""Runs a call of the enqueue script, when many are made."""


class NamedTask(Protocol):
    """Anything that knows its task's name: a Celery task."""

    name: str


class Taglane:
    """A connection to one server, with one credential: the operator's, or a tenant's own.

    Args:
        url: where to connect; default: the setting TAGLANE_URL.
    """

    def __init__(self, url: str | None = None) -> None:
        self.settings = load_settings(url=url)
        self.server = Server(self.settings.url)

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
        """
        name = task if isinstance(task, str) else task.name
        owner = self._tenant(tenant, name)
        run = self._new_run(owner, name, params or {}, tag, Options(**options))
        ((run_id, created),) = self.runs.make(owner, [run])
        return Run(run_id, self.runs, created=created)

    def enqueue_many(
        self,
        task: str | NamedTask,
        *,
        params: Iterable[dict[str, Any]],
        tenant: str | None = None,
        tag: str | None = None,
        **options: Any,
    ) -> list[Run]:
        """Make one run for each of *params*, in as few round trips as there are chunks of 2,000; see `enqueue`.

        Each chunk of 200 is made whole or not at all. An idempotency key is not for many: it raises BadParams.
        """
        name = task if isinstance(task, str) else task.name
        owner = self._tenant(tenant, name)
        how = Options(**options)
        if how.key:
            raise BadParams("one key can't stand for many runs: enqueue them one by one")
        new = [self._new_run(owner, name, each, tag, how) for each in params]
        made: list[Run] = []
        for group in _chunks(new, 10 * CHUNK):
            calls = [
                ("enqueue", owner, [argument for run in chunk for argument in run.arguments()])
                for chunk in _chunks(group, CHUNK)
            ]
            for answer in self.server.calls(calls):
                if isinstance(answer, Exception):
                    raise answer
                made += [Run(answer[i].decode(), self.runs) for i in range(0, len(answer), 2)]
        return made

    def run(self, run_id: str) -> Run:
        """Return a handle to a run by its id; nothing is asked of the server."""
        return Run(check_run_id(run_id), self.runs)

    def close(self) -> None:
        """Close all connections."""
        self.server.close()

    def _tenant(self, given: str | None, task: str) -> str:
        tenant = given or current_tenant() or self.server.tenant
        if tenant is None:
            raise TenantMissing(task)
        return check_tenant(tenant)

    def _new_run(self, tenant: str, task: str, params: dict[str, Any], tag: str | None, how: Options) -> NewRun:
        if not isinstance(params, dict):
            raise BadParams(f"params must be an object, the task's keyword arguments; got {type(params).__name__}")
        packed = envelope.of_call(params)
        if len(packed) > self.settings.payload_limit:
            raise BadParams(
                f"params take {len(packed)} bytes, over the limit of {self.settings.payload_limit} (TAGLANE_PAYLOAD_LIMIT): "
                "store the data elsewhere and send where it is"
            )
        return NewRun(
            id=new_run_id(tenant),
            task=task,
            tag=tag_for(tenant, tag),
            envelope=packed,
            step=keys.step_of(how.priority),
            at=_from_now(how.delay),
            expires=_from_now(how.expires),
            key=how.key or "",
        )


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is to be made. Durations are seconds, or text like ``5m``."""

    delay: float | str | None = None
    """How long it waits before it may be served."""
    expires: float | str | None = None
    """How long it may wait at most; after that it is `expired`."""
    priority: int = 0
    """0 is served first; rounded down to 0, 3, 6 or 9."""
    key: str | None = None
    """Idempotency: a second call with the same key, within a day, returns the first one's run."""


class Run:
    """A handle to one run. It holds no result until `wait` has fetched it."""

    def __init__(self, run_id: str, runs: Runs, *, created: bool = True) -> None:
        self.id = run_id
        self.created = created
        """False when an idempotency key found an earlier run."""
        self._runs = runs
        self._info: RunInfo | None = None

    def wait(self, timeout: float | None = None) -> Run:
        """Wait for the end, at most *timeout* seconds, and return this handle with its result.

        Raises:
            RunFailed: it ended otherwise than succeeded; carries the remote error.
            RunTimeout: it still goes on.
        """
        self._info = self._runs.wait(self.id, timeout)
        if self._info.state != "succeeded":
            raise RunFailed(self.id, self._info.state, self._info.error, self._info.traceback)
        return self

    @property
    def result(self) -> Any:
        """What the task returned; waits for it when that has not been done."""
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

    def cancel(self) -> str:
        """End it if it waits (``cancelled``), ask its worker to stop it (``asked``), or learn that it has ``ended``."""
        return self._runs.cancel(self.id)

    def __repr__(self) -> str:
        return f"<Run {self.id}>"


def _from_now(duration: float | str | None) -> str:
    if duration is None:
        return ""
    milliseconds = parse_duration(duration) if isinstance(duration, str) else round(duration * 1000)
    return f"+{milliseconds}"


def _chunks(items: list[NewRun], size: int) -> Iterator[list[NewRun]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
