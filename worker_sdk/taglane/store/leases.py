"""A worker's side of the moves: hello, fetch, finish, renew, leave; and waiting on bells."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from taglane.errors import ServerFull, TaglaneError
from taglane.model.envelope import Delivery
from taglane.model.watch import next_after
from taglane.store import keys
from taglane.store.waiter import Waiter
from taglane.store.workers import MOST, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taglane.store.server import Server
    from taglane.store.waiter import Listener


log = logging.getLogger("taglane.worker")

LOG = "log"
"""The move by which a worker says what a run has logged."""

_HEAD, _DROPPED = 7, 4
"""How many of its arguments stand before the lines, and the place of how many were dropped; see log.lua."""


class Beat(NamedTuple):
    """A worker's heartbeat: its counter, and after how many seconds of silence it means to count as dead."""

    counter: str
    lease: float = 0.0


class Fetched(NamedTuple):
    """What a fetch gave."""

    wait_ms: int
    """In how many ms there may be more, where nobody rings for it; -1: that is not known."""
    deliveries: list[Delivery]
    why: str
    """Why there are no more, see fetch.lua; empty when nothing more waits."""


def read_beat(counter: bytes | None, lease: bytes | None) -> Beat:
    """Read what a worker has written; whatever can't be read is absent."""
    return Beat((counter or b"").decode(errors="replace"), _number(lease) / 1000)


def _number(text: bytes | None) -> int:
    return int(text) if text and text.isdigit() else 0


def read_delivery(fields: list[bytes], tenant: str) -> Delivery:
    """Read a run as fetch gives it: it is the tenant's from whose prefix it was fetched, whatever it says."""
    run, token, envelope, attempts, tag, job, due, rescues, ended, of, task = fields
    return Delivery(
        run=run.decode(),
        token=int(token),
        envelope=envelope,
        attempt=_number(attempts),
        tenant=tenant,
        tag=tag.decode(),
        job=job.decode(),
        due=_number(due) or None,
        rescues=_number(rescues),
        ended=ended.decode(),
        of=of.decode() if ended else "",
        task=task.decode(),
    )


_told: set[type[TaglaneError]] = set()


def say_lost(error: TaglaneError) -> None:
    """Tell the worker's own log what keeps lines from the logs of runs: once a kind, or there would be one a run."""
    if type(error) not in _told:
        _told.add(type(error))
        log.warning("run_logs_lost error=%s", error)


def call_all(server: Server, moves: Sequence[tuple[str, str, list[Any]]]) -> list[Any]:
    """Make several moves in one round trip, as `Server.calls` does; a log that is refused is no error.

    It is not said again, whatever the reason; of a full server's refusal its run is told how many lines that were.
    """
    answers = server.calls(moves)
    refused = [
        (place, answers[place])
        for place, (move, *_) in enumerate(moves)
        if move == LOG and isinstance(answers[place], TaglaneError)
    ]
    lost = []
    for place, error in refused:
        answers[place] = 0
        say_lost(error)
        if isinstance(error, ServerFull):
            _, tenant, given = moves[place]
            lost.append(("log_lost", tenant, [*given[:2], given[_DROPPED] + len(given) - _HEAD]))
    if lost:
        with suppress(TaglaneError):
            server.calls(lost)
    return answers


class Leases:
    """The leases of one worker, in one tenant."""

    def __init__(self, server: Server, tenant: str, worker: str) -> None:
        self._server = server
        self._tenant = tenant
        self.worker = worker
        self._was_recorded = False
        self._sequence = 0
        self._asked: list[Any] | None = None
        self._introduction: list[Any] = []
        self._waiter = Waiter(server)

    owes = False
    """Whether `say` has kept something that is unsaid: it never does, see `PoolLeases.say`."""

    @property
    def heartbeat(self) -> tuple[str, str, str]:
        """What moves this worker's heartbeat: a prefix, a function, a worker."""
        return keys.prefix(self._tenant), "beat", self.worker

    def hello(self, info: dict[str, Any], tags: list[str], tasks: list[str], lease_ms: int = 0) -> None:
        """Enter the tenant's workers, as one that may be silent for *lease_ms*; 0: as long as its watchers think."""
        self._introduction = ["info", json.dumps(info), "tags", " ".join(tags), "tasks", json.dumps(tasks)]
        self._introduction += ["lease", lease_ms, "slots", info.get("slots", 1)]
        self._was_recorded = self._is_recorded()
        self.hello_again()

    def hello_again(self) -> None:
        """Enter them once more, after we were given up for dead."""
        self._server.call("hello", self._tenant, self.worker, *self._introduction)

    def is_tenant_gone(self) -> bool:
        """Whether the tenant was deleted since `hello`: a worker with the operator's credential would live on in it."""
        return self._was_recorded and not self._is_recorded()

    def _is_recorded(self) -> bool:
        if self._server.tenant is not None:  # only the operator's credential reads the record, and outlives the tenant
            return False
        with self._server.renamed("reading the tenants' record"):
            record = self._server.redis.hget(keys.TENANTS, self._tenant)
        # One that is being deleted opens to no password any more.
        return record is not None and bool(json.loads(record).get("password_hashes"))

    def leave(self) -> None:
        """Leave the tenant's workers; what is still held goes back to its queue."""
        self._server.call("leave", self._tenant, self.worker)

    def fetch(  # noqa: PLR0913 - what the server is to know, and who hears of it
        self,
        most: int,
        tags: list[str],
        *,
        idle: bool,
        slots: int | None = None,
        wait: float = 0.0,
        listener: Listener | None = None,
        heard: Callable[[Fetched | None], object] = lambda _: None,
    ) -> Fetched | None:
        """Lease up to *most* runs, of which *slots* can be started at once: near a limit it gets no more than these.

        It does so after *wait* seconds, or when one of the tags' bells rings. After a lost reply the same question is
        asked again, word for word, and gets the same runs. None: the server does not know this worker. A listener may
        hear the answer to a wait, and calls *heard* with it, from its own thread, before this returns.
        """
        if self._asked is None:
            self._sequence += 1
            wanted = most if slots is None else f"{most} {slots}"
            self._asked = [self.worker, self._sequence, wanted, "1" if idle else "0", *tags]
        prefix = keys.prefix(self._tenant)
        answer = None
        if wait:
            bells = [keys.bell(self._tenant, tag) for tag in tags]
            command = ("FCALL", "taglane_fetch", 1, prefix, *self._asked)
            answer = self._waiter.wait(bells, wait, command, listener, lambda answer: heard(self._fetched(answer)))
            if answer is None and self._waiter.is_stopped:
                return Fetched(-1, [], "")
        if answer is None:
            answer = self._waiter.call("fetch", prefix, *self._asked)
        self._asked = None
        return self._fetched(answer)

    def _fetched(self, answer: Any) -> Fetched | None:
        if answer == 0:
            return None
        return Fetched(answer[1], [read_delivery(fields, self._tenant) for fields in answer[2]], answer[3].decode())

    def say(self, calls: list[tuple[str, list[Any]]], hear: Callable[[str, Any], None]) -> None:
        """Make several moves in one round trip, and hand each answer to *hear*.

        All may be said again after an error: tokens make a repetition harmless.

        Raises:
            TaglaneError: one of them got no answer.
        """
        if len(calls) == 1 and calls[0][0] != LOG:
            move, arguments = calls[0]
            hear(move, self._server.call(move, self._tenant, *arguments))
            return
        answers = call_all(self._server, [(move, self._tenant, arguments) for move, arguments in calls])
        for answer in answers:
            if isinstance(answer, TaglaneError):
                raise answer
        for (move, _), answer in zip(calls, answers, strict=True):
            hear(move, answer)

    def stop_waiting(self) -> None:
        """Break off a fetch that waits, from another thread, and let none wait again."""
        self._waiter.stop()

    def beats(self, near: int | None = None) -> dict[str, Beat]:
        """The heartbeats of the workers of the tenant: of all, or of the *near* ones that come after this one.

        Of more than `MOST` these are any so many.
        """
        with self._server.renamed("looking after the workers"):
            members = self._server.redis.srandmember(keys.workers(self._tenant), MOST)
            workers = [worker.decode(errors="replace") for worker in members]
            if near is not None and len(workers) < MOST:
                workers = next_after(self.worker, workers, near)
            pipeline = self._server.redis.pipeline(transaction=False)
            for worker in workers:
                pipeline.hmget(keys.worker(self._tenant, worker), "beat", "lease")
            if self._server.clustered:  # while the tenant is on its way between nodes, nobody can beat: this fails then
                pipeline.execute_command("FCALL", "taglane_version", 1, keys.prefix(self._tenant))
            counters = pipeline.execute()[: len(workers)]
        return {worker: read_beat(counter, lease) for worker, (counter, lease) in zip(workers, counters, strict=True)}

    def rescue(self, worker: str, beat: str) -> tuple[int, int]:
        """Take over what a worker held whose counter stood still at *beat*; answers runs queued again, dead letters."""
        queued, dead = self._server.call("rescue", self._tenant, worker, beat)
        return queued, dead

    def who_knows(self, task: str, tags: list[str]) -> tuple[bool, list[str]]:
        """Ask whether another worker that serves one of *tags* knows *task*; and what all of them know, sorted."""
        serving = [
            worker for worker in Workers(self._server).list(self._tenant) if not set(tags).isdisjoint(worker.tags)
        ]
        somebody = any(task in worker.tasks for worker in serving if worker.id != self.worker)
        known = {name for worker in serving for name in worker.tasks}
        return somebody, sorted(name for name in known if not name.startswith(("celery.", "taglane.")))
