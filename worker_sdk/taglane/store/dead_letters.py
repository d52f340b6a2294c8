"""Lists dead letters, the runs that were given up, and replays or drops them. Scripts: replay, drop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from taglane.errors import DeadLetterNotFound, RunNotFound, TaglaneError
from taglane.model.names import check_run_id, new_run_id, tenant_of_run
from taglane.store import keys
from taglane.store.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taglane.model.run import RunInfo
    from taglane.store.server import Server

Id = TypeVar("Id", str, bytes)

BATCH = 200
"""Dead letters that one round trip replays or drops, when it is all of them."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A run that was given up, and what it was called with; None where that can't be read."""

    run: RunInfo
    args: list[Any] | None
    params: dict[str, Any] | None


class DeadLetters:
    """The dead letters of every tenant that the server's credential reaches."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._runs = Runs(server)

    def list(self, tenant: str | None = None, *, job: str | None = None, limit: int = 50) -> list[RunInfo]:
        """Return the dead letters of one tenant or of all, those that died last first."""
        return list(islice(self._matching(tenant, job), limit))

    def get(self, run_id: str, tenant: str | None = None) -> DeadLetter:
        """Return one dead letter; one that was replayed since, too.

        Raises:
            DeadLetterNotFound: there is no such run, or it is no dead letter.
        """
        run = self._dead(run_id, tenant)
        with self._server.renamed(f"reading run {run_id}"):
            packed = self._server.redis.hget(keys.run(run.tenant, run_id), "envelope")
        return DeadLetter(run, *_call_of(packed))

    def require(self, run_id: str, tenant: str | None = None) -> None:
        """Check that a dead letter is on the list, whatever has become of its run.

        Raises:
            DeadLetterNotFound: it is not.
        """
        tenant = self._tenant(run_id, tenant)
        with self._server.renamed(f"looking for dead letter {run_id}"):
            listed = self._server.redis.zscore(keys.dead(tenant), run_id)
        if listed is None:
            raise self._not_dead(run_id, tenant)

    def replay(self, run_id: str, tenant: str | None = None, new_id: str | None = None) -> str:
        """Make a new run of a dead letter, which is none any more; return the new run's id: the same for every call.

        Raises:
            DeadLetterNotFound: there is no such run, or it is no dead letter.
        """
        run = self._dead(run_id, tenant)
        return self._runs.replay(run_id, run.tenant, new_id)

    def drop(self, run_id: str, tenant: str | None = None) -> None:
        """Delete a dead letter for good, also one whose run is gone or can't be read.

        Raises:
            DeadLetterNotFound: there is no such run, it is no dead letter, or it was replayed.
        """
        tenant = self._tenant(run_id, tenant)
        if self._server.call("drop", tenant, run_id) == 0:
            raise self._not_dead(run_id, tenant)

    def replay_all(self, tenant: str, *, job: str | None = None) -> int:
        """Replay all dead letters that there are now of a tenant, or of one of its jobs; return how many."""
        count = 0
        for batch in self._batches(tenant, job):
            made = self._runs.replay_many(tenant, [(letter, new_run_id(tenant)) for letter in batch])
            count += len(made) - made.count("")
        return count

    def drop_all(self, tenant: str, *, job: str | None = None) -> int:
        """Delete all dead letters that there are now of a tenant, or of one of its jobs; return how many.

        Of a tenant these are also the letters that no list shows, since their run is gone or can't be read.
        """
        letters = self._batches(tenant, job) if job else _split(self._all(tenant))
        return sum(
            sum(_checked(self._server.calls([("drop", tenant, [letter]) for letter in batch]))) for batch in letters
        )

    def _matching(self, tenant: str | None, job: str | None) -> Iterator[RunInfo]:
        return (run for run in self._runs.newest(keys.dead, tenant) if job is None or run.job == job)

    def _batches(self, tenant: str, job: str | None) -> Iterator[Sequence[str]]:
        """Yield the ids of what is there now, and not of what dies meanwhile: that might never end."""
        return _split([run.id for run in self._matching(tenant, job)])

    def _all(self, tenant: str) -> Sequence[bytes]:
        """Return each id among the dead letters, whatever it names."""
        with self._server.renamed("listing dead letters"):
            found: Sequence[bytes] = self._server.redis.zrange(keys.dead(tenant), 0, -1)
        return found

    def _tenant(self, run_id: str, tenant: str | None) -> str:
        found = tenant or tenant_of_run(check_run_id(run_id)) or self._server.tenant
        if found is None:
            raise DeadLetterNotFound(run_id)
        return found

    def _dead(self, run_id: str, tenant: str | None) -> RunInfo:
        tenant = self._tenant(run_id, tenant)
        try:
            run = self._runs.get(run_id, tenant)
        except RunNotFound as error:
            raise DeadLetterNotFound(run_id) from error
        if run.state != "dead":
            raise DeadLetterNotFound(run_id, run.state)
        return run

    def _not_dead(self, run_id: str, tenant: str) -> DeadLetterNotFound:
        try:
            run = self._runs.get(run_id, tenant)
        except RunNotFound:
            return DeadLetterNotFound(run_id)
        return DeadLetterNotFound(run_id, run.state, run.replayed)


def _split(ids: Sequence[Id]) -> Iterator[Sequence[Id]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))


def _checked(answers: list[Any]) -> list[Any]:
    """Raise the first error of a round trip; what the others did is done."""
    for answer in answers:
        if isinstance(answer, TaglaneError):
            raise answer
    return answers


def _call_of(packed: bytes | None) -> tuple[list[Any] | None, dict[str, Any] | None]:
    """Return the positional and keyword arguments that an envelope holds; None where it is not readable."""
    try:
        args, params, _ = json.loads(json.loads(packed or b"")["b"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None, None
    return args if isinstance(args, list) else None, params if isinstance(params, dict) else None
