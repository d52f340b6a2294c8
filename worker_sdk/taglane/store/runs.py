"""Reads, waits for, makes and stops runs. Scripts: enqueue, cancel, replay."""

from __future__ import annotations

import logging
import time
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from taglane.errors import NotReplayable, RunNotFound, RunTimeout, ServerUnavailable, TaglaneError
from taglane.model.envelope import first_try
from taglane.model.names import check_run_id, new_run_id, tenant_of_run
from taglane.model.run import BRIEF, ENDED, FIELDS, RunInfo, from_fields
from taglane.store import keys
from taglane.store.endings import Endings
from taglane.store.logs import Logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)

PAGE = 200


class NewRun(NamedTuple):
    """A run to be made. Instants are as the enqueue script reads them: '' now, '+ms' from now, 'ms' then."""

    id: str
    task: str
    tag: str
    envelope: str
    step: int = 0
    at: str = ""
    expires: str = ""
    key: str = ""
    depends: bool = False
    """Others are to be told how it ends."""
    carries_on: bool = False
    """It is the next link of a run that has ended, or a chord's body: no limit may keep it from being made."""

    def arguments(self) -> tuple[str | int, ...]:
        """What the enqueue script takes for it."""
        run, task, tag, envelope, step, at, expires, key, depends, carries_on = self
        flags = ("1" if depends else "") + ("c" if carries_on else "")
        return (run, task, tag, step, envelope, at, expires, key, flags)


class Runs:
    """The runs of every tenant that the server's credential reaches."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._endings = Endings(server)

    @property
    def server(self) -> Server:
        """Where they are kept."""
        return self._server

    @property
    def logs(self) -> Logs:
        """What they have logged."""
        return Logs(self._server)

    def make(self, tenant: str, runs: Sequence[NewRun]) -> list[tuple[str, bool]]:
        """Make runs of one tenant in one step; answers id and whether it was made now, for each.

        Raises:
            OverLimit: a limit of the tenant is in the way; nothing was made.
            ServerUnavailable: nothing was made, or all: ask again with the same ids.
            NotReplicated: all were made, and fewer replicas have them than the server was told to wait for.
        """
        arguments = [argument for run in runs for argument in run.arguments()]
        if not self._server.replicas:
            answer = self._server.call("enqueue", tenant, *arguments)
        else:
            (answer,) = self._server.confirmed([("enqueue", tenant, arguments)])
        if isinstance(answer, TaglaneError):
            raise answer
        return [(answer[i].decode(), answer[i + 1] == 1) for i in range(0, len(answer), 2)]

    def get(self, run_id: str, tenant: str | None = None) -> RunInfo:
        """Return one run; *tenant* is needed only for an id that does not carry it.

        Raises:
            RunNotFound: it is not kept, or never was.
            ServerUnavailable: its record is spoiled, too.
        """
        tenant = self._tenant(run_id, tenant)
        with self._server.renamed(f"reading run {run_id}"):
            fields = self._server.redis.hmget(keys.run(tenant, run_id), FIELDS)
        try:
            found = from_fields(run_id, tenant, fields)
        except ValueError as error:
            raise ServerUnavailable(f"the record of run {run_id} can't be read: {error}") from error
        if found is None:
            raise RunNotFound(run_id)
        return found

    def list(
        self, tenant: str | None = None, *, job: str | None = None, state: str | None = None, limit: int = 50
    ) -> list[RunInfo]:
        """Return the runs that were made last, the newest first, of one tenant or of all that the operator has.

        What a tenant has spoiled is left out, and logged: it hides nothing else.
        """
        newest = self.newest(keys.runs, tenant)
        matching = (run for run in newest if (job is None or run.job == job) and state in {None, run.state})
        return list(islice(matching, limit))

    def many(self, runs: Sequence[tuple[str, str]]) -> Sequence[RunInfo]:
        """Return these runs, given as tenant and id, in their order, without their tries; what is gone is left out.

        So is what a tenant has spoiled; that is logged.
        """
        known = [each for each in runs if each[1].isascii()]  # another id is none of ours
        if not known:
            return []
        with self._server.renamed("reading runs"):
            pipeline = self._server.redis.pipeline(transaction=False)
            for tenant, run_id in known:
                pipeline.hmget(keys.run(tenant, run_id), BRIEF)
            rows = pipeline.execute(raise_on_error=False)
            found = [_read(run_id, tenant, row) for (tenant, run_id), row in zip(known, rows, strict=True)]
        return [run for run in found if run is not None]

    def newest(self, key_of: Callable[[str], str], tenant: str | None = None) -> Iterator[RunInfo]:
        """Yield the runs that a zset of one tenant or of all holds, the highest score first, without their tries."""
        tenants = [tenant] if tenant else self.tenants()
        found = merge(*(self._newest(key_of(each), each) for each in tenants), key=lambda made: made[0], reverse=True)
        return (run for _, run in found)

    def wait(
        self, run_id: str, timeout: float | None = None, tenant: str | None = None, *, fresh: bool = False
    ) -> RunInfo:
        """Wait until a run has ended, for *timeout* seconds at most; wakes when it does, without polling.

        One that is *fresh* was made just now, by us: nobody looks first whether it has ended already.

        Raises:
            RunNotFound: there is no such run.
            RunTimeout: it still goes on.
        """
        tenant = self._tenant(run_id, tenant)
        key, channel = keys.run(tenant, run_id), keys.done(tenant, run_id)
        deadline = None if timeout is None else time.monotonic() + timeout
        state = None if fresh else self._endings.state(key)
        if state is None and not fresh:
            raise RunNotFound(run_id)
        if state not in ENDED:
            self.until_ended(key, channel, deadline, must_exist=True)
        found = self.get(run_id, tenant)
        if not found.is_ended:
            raise RunTimeout(run_id, found.state, timeout or 0.0)
        return found

    def until_ended(self, key: str, channel: str, deadline: float | None, *, must_exist: bool = False) -> None:
        """Return when the run at *key* has ended, or at the *deadline*; see `Endings.until`."""
        self._endings.until(key, channel, deadline, must_exist=must_exist)

    def cancel(self, run_id: str, why: str = "by a caller", tenant: str | None = None) -> str:
        """End a run that waits, or ask its worker to stop it; answers ``cancelled``, ``asked`` or ``ended``.

        Raises:
            RunNotFound: there is no such run.
        """
        answer: str = self._server.call("cancel", self._tenant(run_id, tenant), run_id, why).decode()
        if answer == "missing":
            raise RunNotFound(run_id)
        return answer

    def replay(self, run_id: str, tenant: str | None = None, new_id: str | None = None) -> str:
        """Make a new run of one that ended without success, and return its id; of a dead letter, one for all calls.

        Args:
            run_id: the run to be run again.
            tenant: needed only for an id that does not carry it.
            new_id: what the new run is to be called: who lost the reply asks again with the same.

        Raises:
            RunNotFound: there is no such run.
            NotReplayable: it has not ended, or it succeeded.
        """
        tenant = self._tenant(run_id, tenant)
        (answer,) = self.replay_many(tenant, [(run_id, new_id or new_run_id(tenant))])
        if not answer:
            found = self.get(run_id, tenant)
            raise NotReplayable(run_id, found.state, is_ended=found.is_ended)
        return answer

    def replay_many(self, tenant: str, runs: Sequence[tuple[str, str]]) -> Sequence[str]:
        """Replay runs of one tenant, given as id and new id; answers the new run's id, or '' where there is none.

        Raises:
            TaglaneError: the first that came of one of them; the others were replayed.
        """
        answers = self.replay_each(tenant, runs)
        for answer in answers:
            if isinstance(answer, TaglaneError):
                raise answer
        return [answer for answer in answers if isinstance(answer, str)]

    def replay_each(self, tenant: str, runs: Sequence[tuple[str, str]]) -> Sequence[str | TaglaneError]:
        """Replay as `replay_many` does, and answer for each run what came of it.

        A new run's tries count from the first: what Celery has counted of them in the message is taken back.
        """
        with self._server.renamed("reading runs"):
            pipeline = self._server.redis.pipeline(transaction=False)
            for run_id, _ in runs:
                pipeline.hget(keys.run(tenant, run_id), "envelope")
            stored = pipeline.execute(raise_on_error=False)
        anew = [
            first_try(text) if isinstance(text, bytes) else "" for text in stored
        ]  # an error the move will meet, too
        calls = [("replay", tenant, [*run, envelope]) for run, envelope in zip(runs, anew, strict=True)]
        answers = self._server.calls(calls)
        return [answer if isinstance(answer, TaglaneError) else answer.decode() for answer in answers]

    def _tenant(self, run_id: str, tenant: str | None) -> str:
        found = tenant or tenant_of_run(check_run_id(run_id)) or self._server.tenant
        if found is None:
            raise RunNotFound(run_id)
        return found

    def tenants(self) -> Sequence[str]:
        """The tenants that the credential reaches, but for those whose node of a cluster is gone."""
        if self._server.tenant:
            return [self._server.tenant]
        with self._server.renamed("listing tenants"):
            return self._server.reachable(sorted(name.decode() for name in self._server.redis.hkeys(keys.TENANTS)))

    def _newest(self, zset: str, tenant: str) -> Iterator[tuple[float, RunInfo]]:
        """Yield score and run of each member."""
        start = 0
        while True:
            with self._server.renamed(f"listing runs of {tenant}"):
                pipeline = self._server.redis.pipeline(transaction=False)
                pipeline.zrevrange(zset, start, start + PAGE - 1, withscores=True)
                (made,) = pipeline.execute(raise_on_error=False)
                if isinstance(made, Exception):
                    _pass_over(made, zset)
                    made = []
                for run_id, _ in made:
                    pipeline.hmget(keys.run(tenant, run_id.decode(errors="replace")), BRIEF)
                rows = pipeline.execute(raise_on_error=False)
            for (run_id, instant), row in zip(made, rows, strict=True):
                found = _read(run_id.decode(errors="replace"), tenant, row)
                if found is not None:
                    yield instant, found
            if len(made) < PAGE:
                return
            start += PAGE


def _pass_over(error: Exception, key: str) -> None:
    """Take note of a key that its tenant has made something else of; raise any other error."""
    if not str(error).startswith("WRONGTYPE"):
        raise error
    log.warning("key_unreadable key=%s", key)


def _read(run_id: str, tenant: str, row: Any) -> RunInfo | None:
    key = keys.run(tenant, run_id)
    if isinstance(row, Exception):
        _pass_over(row, key)
        return None
    try:
        return from_fields(run_id, tenant, row)
    except ValueError:
        log.warning("key_unreadable key=%s", key)
        return None
