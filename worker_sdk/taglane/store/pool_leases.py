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

from taglane.errors import NodeUnavailable, ServerUnavailable, TaglaneError
from taglane.model.names import SHARED
from taglane.store import keys
from taglane.store.leases import Beat, Fetched, call_all, read_delivery
from taglane.store.pool_said import by_tenant, is_one_tenants, note_said, renewals, verdict
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

UNHEARD_MS = 1_000
"""Until a tenant has another turn whose node of a cluster gives no answer."""

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
        self._unheard: dict[str, tuple[str, str, list[Any]]] = {}  # what tenants were asked whose node said nothing
        self._unsaid: list[tuple[str, str, list[Any]]] = []  # and what is to be said to such nodes
        self._shard = ""
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
            self._unheard, self._unsaid = {}, []
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
        self,
        most: int,
        tags: list[str],
        *,
        idle: bool,
        slots: int | None = None,
        wait: float = 0.0,
        **_: Any,
    ) -> Fetched | None:
        """Lease up to *most* runs, of the tenants whose turn it is; None: the pool does not know this worker.

        It waits, and asks again after a lost reply, as `Leases.fetch` does. Each tenant's limits bind *most*. Who waits
        hears the answer itself: it has the tenants yet to ask.
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
            if not turns and not self._unheard:
                return Fetched(wait, [], "")
            self._ask(turns, idle=idle, slots=max(1, most if slots is None else slots))
        with self._lock:
            asked, life = list(self._asked), self._life
        answers = self._server.calls([("fetch", tenant, given) for tenant, _, given in asked])
        if all(isinstance(answer, ServerUnavailable) and not is_one_tenants(answer) for answer in answers):
            raise answers[0]
        with self._lock:
            if life != self._life:
                return None
            self._asked = []
            found = [
                delivery
                for question, answer in zip(asked, answers, strict=True)
                for delivery in self._received(question, answer)
            ]
            pressing = self._turns.is_pressing()
            nothing = UNHEARD_MS // 2 if len(self._unheard) == len(asked) else 2
        if pressing and self._turn(0) is None:
            return None
        return Fetched(0 if found else nothing, found, "more")

    def _ask(self, turns: list[tuple[str, str, int]], *, idle: bool, slots: int) -> None:
        """Prepare what to fetch; one whose run must be served alone gets it when no other tenant is asked with it.

        A tenant whose node gave no answer is asked the same again, as long as it gives none.
        """
        with self._lock:
            self._alone = ""
            self._asked = list(self._unheard.values())
            for tenant, seq, runs in turns:
                if tenant in self._unheard:
                    continue
                self._sequence += 1
                alone = "1" if idle and len(turns) == 1 else "0"
                given = [self.visitor, self._sequence, f"{runs} {slots}", f"{alone} {self._pool}", self._tag]
                self._asked.append((tenant, seq, given))

    def _received(self, question: tuple[str, str, list[Any]], answer: Any) -> list[Delivery]:
        """Take in what one tenant gave; what is wrong with its keys, or its node, keeps nobody else waiting."""
        tenant, seq, _ = question
        if isinstance(answer, NodeUnavailable):  # it may have given runs all the same: see `_ask`
            self._unheard[tenant] = question
            self._turns.suspend(tenant, seq, f"park {UNHEARD_MS}")
            self._say_once(tenant, answer)
            return []
        self._unheard.pop(tenant, None)
        if isinstance(answer, TaglaneError) or answer == 0:
            self._turns.end(tenant, seq, f"park {SPOILED_MS}", 0)
            self._say_once(tenant, answer)
            return []
        self._failed.pop(tenant, None)
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
        self._turns.end(tenant, seq, verdict(why, wait), len(found))
        return found

    def _say_once(self, tenant: str, error: object) -> None:
        if self._failed.get(tenant) != str(error):
            self._failed[tenant] = str(error)
            log.error("tenant_failed tenant=%s error=%s", tenant, error or "it does not know this worker any more")

    def _turn(self, most: int, first: str = "") -> tuple[int, list[tuple[str, str, int]]] | None:
        """Tell what is due, and ask for turns: answers ms until there may be one (-1: somebody rings), and them."""
        with self._lock:
            self._look_where_the_pool_is()
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

    def _look_where_the_pool_is(self) -> None:
        """After a failover, tell the pool anew what is held: its new node may not have heard of the last visits."""
        shard = self._server.shard_at(self._prefix)
        if shard != self._shard:
            self._shard, known = shard, self._shard
            if known:
                self._turns.recount_all()

    @property
    def owes(self) -> bool:
        """Whether something is unsaid that `say` took, as a node of the cluster gave no answer."""
        return bool(self._unsaid)

    def say(self, calls: list[tuple[str, list[Any]]], hear: Callable[[str, Any], None]) -> None:
        """Make several moves, each in the tenant whose run it is of, in one round trip; see `Leases.say`.

        What a node of a cluster gives no answer to is kept, and said first the next time: other tenants don't wait.

        Raises:
            TaglaneError: one of them got no answer; with no *calls*, also when what was kept got none.
        """
        split, renews = self._split(calls)
        answers = call_all(self._server, split) if split else []
        self._take_in(split, answers, insists=not calls)
        with self._lock:
            if renews:
                self._turns.charge_going(time.monotonic())
            pressing = self._turns.is_pressing()
        if renews:
            hear("renew", self._renewed(split, answers))
        elif pressing:
            self._turn(0)

    def _split(self, calls: list[tuple[str, list[Any]]]) -> tuple[list[tuple[str, str, list[Any]]], bool]:
        """What is to be said to which tenant, what was kept first; and whether a heartbeat is among it."""
        with self._lock:
            split = list(self._unsaid)
            for move, arguments in calls:
                if move == "renew":
                    split += renewals(self._turns, self.visitor, arguments)
                else:
                    given_by_tenant = by_tenant(self._turns, move, arguments)
                    split += [(move, tenant, given) for tenant, given in given_by_tenant.items()]
        return split, any(move == "renew" for move, _ in calls)

    def _take_in(self, split: list[tuple[str, str, list[Any]]], answers: list[Any], *, insists: bool) -> None:
        """Note what was said; keep what a node gave no answer to, or raise that where somebody *insists*."""
        for (_, tenant, _), answer in zip(split, answers, strict=True):
            if isinstance(answer, TaglaneError):
                if not is_one_tenants(answer) or (insists and isinstance(answer, NodeUnavailable)):
                    raise answer
                self._say_once(tenant, answer)
        with self._lock:
            self._unsaid = []
            for call, answer in zip(split, answers, strict=True):
                if not isinstance(answer, NodeUnavailable):
                    note_said(self._turns, call[0], call[2])
                elif call[0] != "renew":
                    self._unsaid.append(call)

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
