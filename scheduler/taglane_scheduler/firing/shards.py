"""Runs a scheduler on a cluster: a loop for each primary, in a thread of its own, over the tenants whose slot it has.

So a node that is dead or frozen stops its own loop, and no other. What all share (`lookout`), and what looks at all
nodes (hooks like those of one loop), has threads of its own: no loop waits for another node than its own. Which
primaries there are is asked of the client, now and then: after a failover another one has the slots, and gets a loop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypedDict

from taglane.errors import Refused, ServerUnavailable, TaglaneError
from taglane.runtime.pulse import Pulse

from taglane_scheduler.firing.loop import SWEEP_MS, WATCH_S
from taglane_scheduler.firing.shard import Inbox, ShardRoster

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taglane.store.server import Server

    from taglane_scheduler.firing.lookout import Lookout
    from taglane_scheduler.firing.loop import LoopReport, SchedulerLoop
    from taglane_scheduler.firing.roster import Company
    from taglane_scheduler.firing.wakes import Waker

    Looked = Callable[[Sequence[str]], object]

log = logging.getLogger(__name__)

LOOK_S = 0.2  # between two looks at which primaries there are
RETRY_S = 1.0  # until a loop that has ended is begun again
JOIN_S = 2.0  # that the end waits for a thread: it may be at a node that does not answer
FOREVER_MS = 1 << 53


class OfShard(logging.LoggerAdapter[logging.Logger]):
    """Says in each line of which shard it is."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Put the shard behind the other fields."""
        return f"{msg} shard={(self.extra or {})['shard']}", kwargs


class LoopParts(TypedDict):
    """What a shard's loop is made with."""

    roster: Company
    wakes: Waker
    log: OfShard
    pulse: Pulse
    looked: Callable[[Sequence[str]], object]
    patience_ms: int


class _Shard:
    """One loop, its thread, and whom it has looked at."""

    def __init__(self, name: str, roster: ShardRoster, looked: Looked) -> None:
        self.name = name
        self.roster = roster
        self.inbox = Inbox()
        self.pulse = Pulse(name=name[:8])
        self.log = OfShard(logging.getLogger("taglane_scheduler.firing.loop"), {"shard": name[:8]})
        self.looked: deque[str] = deque(maxlen=10_000)
        self.look = looked
        self.stopping = threading.Event()
        self.thread: threading.Thread | None = None
        self.error: Exception | None = None
        self.ended_at = 0.0
        self.loop: SchedulerLoop | None = None


class Shards:
    """The loops of one scheduler on a cluster; has the face of one `SchedulerLoop`.

    Args:
        server: the cluster, with the operator's credential.
        lookout: what they share.
        make_loop: makes the loop of a shard: it is given the shard's id, what is to be called when it connects, and
            what the loop is to be made with.
        make_looked: makes what is called with the tenants that one loop has looked at: each has its own.
        patience_ms: for how long all nodes may be gone before `run` gives up.
        prepare, sweep, watch: as those of a loop, for all nodes.
    """

    def __init__(  # noqa: PLR0913 - what it drives, and its hooks
        self,
        server: Server,
        lookout: Lookout,
        make_loop: Callable[[str, Callable[[], None], LoopParts], SchedulerLoop],
        make_looked: Callable[[], Looked],
        *,
        patience_ms: int,
        prepare: Callable[[], object],
        sweep: Callable[[], object],
        watch: Callable[[], object],
    ) -> None:
        self._server = server
        self._lookout = lookout
        self._make_loop = make_loop
        self._make_looked = make_looked
        self._patience = patience_ms / 1000
        self._prepare = prepare
        self._sweep = sweep
        self._watch = watch
        self._shards: dict[str, _Shard] = {}
        self._sweep_at = 0.0
        self._said: dict[str, str] = {}
        self._prepared = False
        self.pulses: list[Pulse] = [lookout.pulse]
        """What each loop says of itself, and what the lookout does: one list, which changes with the shards."""

    @property
    def holds_fire(self) -> bool:
        """Whether some node's clock is not believed, so that nothing of its tenants is fired."""
        return any(shard.loop.holds_fire for shard in self._shards.values() if shard.loop)

    def run(self, stopping: threading.Event, ready: Callable[[], object] | None = None) -> None:
        """Run a loop for each primary until *stopping* is set; call *ready* when each that lives has made a step.

        Raises:
            ServerUnavailable: every node was gone for longer than our patience.
            Refused: the credential is not the operator's.
        """
        over = threading.Event()
        threads = [
            threading.Thread(target=work, args=(over,), name=f"taglane-{name}", daemon=True)
            for name, work in (("lookout", self._lookout.look_out), ("wakes", self._lookout.hear), ("care", self._care))
        ]
        answered = time.monotonic()
        try:
            while not stopping.is_set():
                try:
                    self._begin()
                    self._adjust(run=True)
                    if any(shard.loop and shard.loop.is_connected for shard in self._shards.values()):
                        answered = time.monotonic()
                except ServerUnavailable as error:
                    self._say("shards", "server_lost error=%s", error)
                    self._raise_if_gone(answered, error)
                else:
                    self._raise_if_gone(answered, ServerUnavailable("no node of the cluster gives an answer"))
                    for thread in threads:
                        if thread.ident is None:
                            thread.start()
                    if ready is not None and self._all_began():
                        ready()
                        ready = None
                time.sleep(LOOK_S)  # not stopping.wait: a signal handler sets it, in this very thread
        finally:
            over.set()
            self.close()
            for thread in threads:
                if thread.is_alive():
                    thread.join(JOIN_S)

    def step(self) -> list[LoopReport]:
        """Do in one thread, once, what all of them do: return what each loop did.

        Raises:
            ServerUnavailable: a node gives no answer.
        """
        self._begin()
        self._lookout.step()
        self._adjust(run=False)
        reports = [shard.loop.step() for shard in self._shards.values() if shard.loop]
        self._watch()
        self._look_after()
        return reports

    def close(self) -> None:
        """End all loops, and leave the other schedulers."""
        for name in list(self._shards):
            self._end(name)
        try:
            self._lookout.leave()
        except TaglaneError as error:
            log.info("leave_failed error=%s", error)

    def _begin(self) -> None:
        if not self._prepared:
            self._prepare()
            self._lookout.step()
            self._prepared = True
            self._sweep_at = time.monotonic() + SWEEP_MS / 1000

    def _adjust(self, *, run: bool) -> None:
        """Have a loop for each primary that there is, and for no other."""
        wanted = self._server.shards()
        for name in [name for name in self._shards if name not in wanted]:
            log.warning("shard_gone shard=%s", name[:8])
            self._end(name)
        for name in wanted:
            shard = self._shards.get(name)
            if shard is None:
                shard = self._shards[name] = self._made(name)
                self._sweep_at = 0.0  # its node may be new, or have forgotten its users
            if run and (shard.thread is None or not shard.thread.is_alive()):
                self._start(shard)
        self._lookout.tell({name: shard.inbox for name, shard in self._shards.items()})

    def _made(self, name: str) -> _Shard:
        shard = _Shard(name, ShardRoster(self._server, name, self._lookout), self._make_looked())
        parts: LoopParts = {
            "roster": shard.roster,
            "wakes": shard.inbox,
            "log": shard.log,
            "pulse": shard.pulse,
            "looked": shard.looked.extend,
            "patience_ms": FOREVER_MS,
        }
        shard.loop = self._make_loop(name, self._connects, parts)
        self.pulses.append(shard.pulse)
        return shard

    def _connects(self) -> None:
        """Note that a loop connects: its node may have been started again, and have forgotten its users."""
        self._sweep_at = 0.0

    def _start(self, shard: _Shard) -> None:
        """Run a loop in a thread of its own, again when it has ended by an error."""
        if shard.error is not None and time.monotonic() < shard.ended_at + RETRY_S:
            return
        shard.thread = threading.Thread(target=self._run, args=(shard,), name=f"taglane-{shard.name[:8]}", daemon=True)
        shard.thread.start()

    def _run(self, shard: _Shard) -> None:
        loop = shard.loop
        if loop is None:
            return
        try:
            loop.run(shard.stopping)
        except Exception as error:
            shard.error, shard.ended_at = error, time.monotonic()
            if isinstance(error, TaglaneError):
                shard.log.error("loop_ended error=%s", error)  # noqa: TRY400 - it says all
            else:
                shard.log.exception("loop_ended")  # whatever it is: the others go on, and this one is begun again

    def _end(self, name: str) -> None:
        shard = self._shards.pop(name)
        shard.stopping.set()
        if shard.thread is not None and shard.thread is not threading.current_thread():
            shard.thread.join(JOIN_S)
        elif shard.loop is not None:
            shard.loop.close()
        if shard.pulse in self.pulses:
            self.pulses.remove(shard.pulse)

    def _all_began(self) -> bool:
        """Whether each loop has made a step, or can't."""
        return any(shard.loop and shard.loop.is_connected for shard in self._shards.values()) and all(
            shard.loop is None or shard.loop.is_connected or shard.loop.is_lost for shard in self._shards.values()
        )

    def _raise_if_gone(self, answered: float, error: ServerUnavailable) -> None:
        refused = [shard.error for shard in self._shards.values() if isinstance(shard.error, Refused)]
        if refused and len(refused) == len(self._shards):
            raise refused[0]
        if time.monotonic() - answered > self._patience:
            log.error("server_gone_for_good after_s=%.1f", time.monotonic() - answered)
            raise error

    def _care(self, over: threading.Event) -> None:
        """Do what looks at all nodes, until *over* is set: what goes wrong with one of these is said, once."""
        while not over.wait(WATCH_S):
            if time.monotonic() >= self._sweep_at:
                self._sweep_at = time.monotonic() + SWEEP_MS / 1000
                self._tried("sweep", self._sweep)
            self._tried("watch", self._watch)
            self._look_after()

    def _look_after(self) -> None:
        for shard in list(self._shards.values()):
            seen = [shard.looked.popleft() for _ in range(len(shard.looked))]
            self._tried(f"look {shard.name[:8]}", lambda shard=shard, seen=seen: shard.look(dict.fromkeys(seen)))  # type: ignore[misc]

    def _tried(self, what: str, work: Callable[[], object]) -> None:
        try:
            with self._server.renamed(what):
                work()
            self._said.pop(what, None)
        except TaglaneError as error:
            self._say(what, "care_failed what=%s error=%s", what, error)
        except Exception:
            log.exception("care_failed what=%s", what)

    def _say(self, what: str, event: str, *values: object) -> None:
        said = event % values
        if self._said.get(what) != said:
            self._said[what] = said
            log.warning(event, *values)
