"""The leases of a shared pool's worker: in every tenant whose turn it is. Scripts: pool_turn, fetch, renew, pool_leave.

It answers what `Leases` answers, so that the threads above know of no difference: whatever they say of runs is split by
the tenant whose run it is. The pool says whose turn it is; what that tenant has for the pool is leased in the tenant,
under its limits, and fenced there by its token.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from taglane.errors import LibraryMissing, ServerUnavailable, TaglaneError
from taglane.model.names import SHARED
from taglane.store import keys
from taglane.store.leases import Beat, Fetched, call_all, read_delivery
from taglane.store.pools import Pools
from taglane.store.turns import Turns
from taglane.store.waiter import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.model.envelope import Delivery
    from taglane.store.server import Server

log = logging.getLogger("taglane.worker")

QUANTA = 8
"""Turns at most that fill a worker's appetite: one tenant alone may have all of them."""

HAND_BACK_MS = 1_000
SPOILED_MS = 5_000
"""Until a tenant is visited again whose keys can't be read."""

ALONE = "alone"


class PoolLeases:
    """The leases of one worker of the pool *name*. Takes the operator's credential."""

    def __init__(self, server: Server, name: str, worker: str) -> None:
        self._server = server
        self._pool = name
        self._tag = f"{SHARED}.{name}"
        self.worker = worker
        self._prefix = keys.pool_prefix(name)
        self._life = 0
        self._introduction: list[Any] = []
        self._waiter = Waiter(server)
        self._lock = threading.RLock()
        self._turns = Turns()
        self._sequence = 0
        self._asked: list[tuple[str, str, list[Any]]] = []
        self._alone = ""
        self._is_unsure = False
        self._failed: dict[str, str] = {}

    @property
    def heartbeat(self) -> tuple[str, str, str]:
        """What moves this worker's heartbeat: a prefix, a function, a worker."""
        return self._prefix, "pool_beat", self.worker

    @property
    def visitor(self) -> str:
        """What tenants know this worker as: it is another one, once it was given up for dead."""
        return f"{self.worker}.{self._life}"

    def hello(self, info: dict[str, Any], tags: list[str], tasks: list[str], lease_ms: int = 0) -> None:
        """Enter the pool's workers, as one that may be silent for *lease_ms*."""
        self._introduction = ["info", json.dumps(info), "tags", " ".join(tags), "tasks", json.dumps(tasks)]
        self._introduction += ["lease", lease_ms]
        self.hello_again()

    def hello_again(self) -> None:
        """Enter once more, as another life: what the one before held is others' now. The server may have lost all."""
        with self._lock:
            self._life += 1
            self._turns, self._asked, self._alone, self._is_unsure = Turns(), [], "", False
        self._server.call_at(self._prefix, "pool_hello", self.worker, self._life, *self._introduction)
        with self._server.renamed("entering the pool"):  # and let the schedulers look for what waits for a new pool
            self._server.redis.sadd(keys.POOLS, self._pool)
            self._server.redis.publish(keys.POOLS, self._pool)

    def is_tenant_gone(self) -> bool:
        """A pool is no tenant's."""
        return False

    def leave(self) -> None:
        """Leave the pool; what is still held goes back to its queues."""
        calls = [("leave", tenant, [self.visitor]) for tenant in self._visited()]
        for answer in self._server.calls(calls) if calls else ():
            if isinstance(answer, ServerUnavailable):
                raise answer
        self._server.call_at(self._prefix, "pool_leave", self.worker, self._life)

    def _visited(self) -> list[str]:
        """The tenants of which the pool believes that this worker holds something, or may soon."""
        with self._server.renamed("asking the pool"):
            return [tenant.decode() for tenant in self._server.redis.hkeys(keys.pool_visits(self._pool, self.visitor))]

    def fetch(
        self, most: int, tags: list[str], *, idle: bool, slots: int | None = None, wait: float = 0.0
    ) -> Fetched | None:
        """Lease up to *most* runs, of the tenants whose turn it is; None: the pool does not know this worker.

        It waits, and asks again after a lost reply, as `Leases.fetch` does. Each tenant's limits bind *most*.
        """
        del tags
        if wait:
            self._waiter.wait([keys.pool_bell(self._pool)], wait)
            if self._waiter.is_stopped:
                return Fetched(-1, [], "")
        if not self._asked:
            if self._alone and not idle:
                return Fetched(100, [], ALONE)  # what has cost workers their lives is served to one that holds nothing
            answer = self._turn(most, first=self._alone)
            if answer is None:
                return None
            wait, turns = answer
            if not turns:
                return Fetched(wait, [], "")
            self._ask(turns, idle=idle, slots=max(1, most if slots is None else slots))
        with self._lock:
            asked, life = list(self._asked), self._life
        answers = self._server.calls([("fetch", tenant, given) for tenant, _, given in asked])
        if all(isinstance(answer, ServerUnavailable) and not _is_spoiled(answer) for answer in answers):
            raise answers[0]
        with self._lock:
            if life != self._life:
                return None
            self._asked = []
            found = [
                delivery
                for (tenant, seq, _), answer in zip(asked, answers, strict=True)
                for delivery in self._received(tenant, seq, answer)
            ]
            pressing = self._turns.is_pressing()
        if pressing and self._turn(0) is None:
            return None
        return Fetched(0 if found else 2, found, "more")

    def _ask(self, turns: list[tuple[str, str, int]], *, idle: bool, slots: int) -> None:
        """Prepare what to fetch; one whose run must be served alone gets it when no other tenant is asked with it."""
        with self._lock:
            self._alone = ""
            for tenant, seq, runs in turns:
                self._sequence += 1
                alone = "1" if idle and len(turns) == 1 else "0"
                given = [self.visitor, self._sequence, f"{runs} {slots}", f"{alone} {self._pool}", self._tag]
                self._asked.append((tenant, seq, given))

    def _received(self, tenant: str, seq: str, answer: Any) -> list[Delivery]:
        """Take in what one tenant gave; what is wrong with its keys keeps nobody else waiting."""
        if isinstance(answer, TaglaneError) or answer == 0:
            self._turns.end(tenant, seq, f"park {SPOILED_MS}", 0)
            self._say_once(tenant, answer)
            return []
        wait, runs, why = answer[1], answer[2], answer[3].decode()
        found = []
        for fields in runs:
            delivery = read_delivery(fields, tenant)
            if self._turns.hold(delivery.run, delivery.token, tenant):
                found.append(delivery)
            else:
                self._server.call("hand_back", tenant, HAND_BACK_MS, delivery.run, delivery.token)
        if why == ALONE:
            self._alone = tenant
        self._turns.end(tenant, seq, _verdict(why, wait), len(found))
        return found

    def _say_once(self, tenant: str, error: object) -> None:
        if self._failed.get(tenant) != str(error):
            self._failed[tenant] = str(error)
            log.error("tenant_failed tenant=%s error=%s", tenant, error or "it does not know this worker any more")

    def _turn(self, most: int, first: str = "") -> tuple[int, list[tuple[str, str, int]]] | None:
        """Tell what is due, and ask for turns: answers ms until there may be one (-1: somebody rings), and them."""
        with self._lock:
            if self._is_unsure:
                self._turns.recount(self._visited())
                self._is_unsure = False
            said = self._turns.statement()
            try:
                answer = self._server.call_at(
                    self._prefix, "pool_turn", self.worker, self._life, most, max(1, most // QUANTA), first, *said
                )
            except TaglaneError:
                self._turns.restore(said)
                self._is_unsure = True  # turns may have been given that we do not know of
                raise
            if answer == 0:
                return None
            turns = []
            for i in range(2, len(answer), 5):
                tenant, runs = answer[i].decode(), int(answer[i + 2])
                turns.append((tenant, answer[i + 1].decode(), runs))
                self._turns.begin(tenant, runs, float(answer[i + 4]), counted=bool(answer[i + 3]))
            return answer[1], turns

    def say(self, calls: list[tuple[str, list[Any]]], hear: Callable[[str, Any], None]) -> None:
        """Make several moves, each in the tenant whose run it is of, in one round trip; see `Leases.say`.

        Raises:
            TaglaneError: one of them got no answer.
        """
        split: list[tuple[str, str, list[Any]]] = []
        renewal: list[Any] | None = None
        with self._lock:
            for move, arguments in calls:
                if move == "renew":
                    renewal = arguments
                    split += self._renewals(arguments)
                else:
                    split += [(move, tenant, given) for tenant, given in self._by_tenant(move, arguments).items()]
        answers = call_all(self._server, split) if split else []
        for (_, tenant, _), answer in zip(split, answers, strict=True):
            if isinstance(answer, TaglaneError):
                if isinstance(answer, LibraryMissing) or not _is_spoiled(answer):
                    raise answer
                self._say_once(tenant, answer)
        with self._lock:
            for move, tenant, given in split:
                self._note_said(move, tenant, given)
            if renewal is not None:
                self._turns.charge_going(time.monotonic())
            pressing = self._turns.is_pressing()
        if renewal is not None:
            hear("renew", self._renewed(split, answers))
        elif pressing:
            self._turn(0)

    def _renewals(self, arguments: list[Any]) -> list[tuple[str, str, list[Any]]]:
        """Split a heartbeat: each tenant is told of what is held of it."""
        executing, started = int(arguments[1]), int(arguments[2])
        marks: dict[str, list[Any]] = {}
        held: dict[str, list[Any]] = {}
        now = time.monotonic()
        after = 3 + 4 * started
        for i in range(3, after, 4):
            run, token, ran, last = arguments[i : i + 4]
            self._turns.started(run, token, now - ran / 1000)
            if tenant := self._turns.tenant_of(run, token):
                marks.setdefault(tenant, []).extend((run, token, ran, last))
        for i in range(after, len(arguments), 2):
            if tenant := self._turns.tenant_of(arguments[i], arguments[i + 1]):
                held.setdefault(tenant, []).extend(arguments[i : i + 2])
        return [
            (
                "renew",
                tenant,
                [self.visitor, executing, len(marks.get(tenant, ())) // 4, *marks.get(tenant, ()), *leases],
            )
            for tenant, leases in held.items()
        ]

    def _renewed(self, split: list[tuple[str, str, list[Any]]], answers: list[Any]) -> Any:
        """Beat, and answer a heartbeat as `renew` does for one tenant: what is lost, what to cancel."""
        beat = self._server.call_at(*self.heartbeat)
        if beat == 0 or self._turn(0) is None:
            return 0
        lost, cancels = list[bytes](), list[bytes]()
        for (move, _, given), answer in zip(split, answers, strict=True):
            if move != "renew" or isinstance(answer, TaglaneError):
                continue
            if answer == 0:  # this tenant does not know us: it was deleted, or spoiled
                lost += [run.encode() for run in given[3 + 4 * given[2] :: 2]]
            else:
                lost += answer[0]
                cancels += answer[1]
        with self._lock:
            gone = {run.decode() for run in lost}
            for run, token in [each for each in self._turns.stays if each[0] in gone]:
                self._turns.let_go(run, token, time.monotonic())
        return [lost, cancels]

    def _by_tenant(self, move: str, arguments: list[Any]) -> dict[str, list[Any]]:
        """Split a move that is said of several runs by whose they are; of a run that is not held any more, leave it."""
        width, first = {"finish": (6, 0), "hand_back": (2, 1)}.get(move, (len(arguments), 0))
        found: dict[str, list[Any]] = {}
        for i in range(first, len(arguments), width):
            given = arguments[i : i + width]
            if tenant := self._turns.tenant_of(given[0], given[1]):
                found.setdefault(tenant, list(arguments[:first])).extend(given)
        return found

    def _note_said(self, move: str, _: str, given: list[Any]) -> None:
        now = time.monotonic()
        if move == "finish":
            for i in range(0, len(given), 6):
                ran = given[i + 3]
                self._turns.let_go(given[i], given[i + 1], now, float(ran) if ran != "" else None)
        elif move == "hand_back":
            for i in range(1, len(given), 2):
                self._turns.let_go(given[i], given[i + 1], now)
        elif move in ("retry", "died"):
            self._turns.let_go(given[0], given[1], now)

    def stop_waiting(self) -> None:
        """Break off a fetch that waits; see `Leases.stop_waiting`."""
        self._waiter.stop()

    def close(self) -> None:
        """Close the connections."""
        self._waiter.stop()
        self._server.close()

    def beats(self, near: int | None = None) -> dict[str, Beat]:
        """Nobody's: dead workers of a pool are the schedulers' business. It asks the server, which may not answer."""
        del near
        with self._server.renamed("asking the server"):
            self._server.redis.ping()
        return {}

    def rescue(self, worker: str, beat: str) -> tuple[int, int]:
        """Nothing; see `beats`."""
        del worker, beat
        return 0, 0

    def who_knows(self, task: str, tags: list[str]) -> tuple[bool, list[str]]:
        """Ask whether another worker of the pool knows *task*; and what all of them know, sorted."""
        del tags
        serving = [pool for pool in Pools(self._server).list() if pool.name == self._pool]
        workers = [worker for pool in serving for worker in pool.workers]
        somebody = any(task in worker.tasks for worker in workers if worker.id != self.worker)
        known = {name for worker in workers for name in worker.tasks}
        return somebody, sorted(name for name in known if not name.startswith(("celery.", "taglane.")))


def _verdict(why: str, wait: int) -> str:
    """What a fetch means for its tenant's turns."""
    match why:
        case "":
            return "empty"
        case "running" | "paused" | "slots":
            return "park"  # it is told when there is a slot, or when it goes on
        case "rate":
            return f"park {max(1, wait)}"
        case "alone":
            return "park 100"
        case _:
            return "more"


def _is_spoiled(error: TaglaneError) -> bool:
    """Whether an error is one tenant's, whose keys hold something else than ours, and not the server's."""
    return "WRONGTYPE" in str(error) or "@user_function" in str(error)
