"""The leases that this process has, by run and by message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taglane.runtime.carry import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.model.envelope import Delivery


@dataclass(slots=True, eq=False)
class Held:
    """One lease of this process. Instants are seconds of the monotonic clock."""

    delivery: Delivery
    fetched_at: float
    started_at: float | None = None
    taken: bool = False
    """The main loop has it."""
    in_pool: bool = False
    """The pool has it."""
    marked: bool = False
    """The server knows that it has started."""
    last: bool = False
    """Its task acknowledges early: one death is its last."""
    lost: bool = False
    noted: Outcome | None = None
    message_id: str = field(init=False)
    """What Celery calls it: the run's id, or of a follow-up the id of the run whose end it tells."""

    def __post_init__(self) -> None:
        self.message_id = self.delivery.of or self.delivery.run

    def note(self, outcome: Outcome) -> None:
        """Keep what was decided of it, beside what was before: a result and a part of a chord come one by one."""
        before = self.noted
        if before is not None:
            kind = outcome.kind if outcome.result else before.kind
            outcome = Outcome(kind, outcome.result or before.result, outcome.part or before.part)
        self.noted = outcome

    def last_word(self, outcome: Outcome | None) -> Outcome:
        """Return what is to be said of it: what was noted wins, but for what it logged."""
        said = self.noted or outcome or Outcome("failed")
        return said._replace(log=outcome.log) if outcome is not None and outcome.log else said


class Roster:
    """All leases of this process. Not thread-safe: `Holdings` holds its lock around what changes it."""

    def __init__(self) -> None:
        self._by_run: dict[str, Held] = {}
        self._by_message: dict[str, Held] = {}

    def __len__(self) -> int:
        return len(self._by_run)

    def __iter__(self) -> Iterator[Held]:
        return iter(self._by_run.values())

    def add(self, held: Held) -> None:
        """Enter a lease."""
        self._by_run[held.delivery.run] = held
        self._by_message[held.message_id] = held

    def remove(self, held: Held) -> None:
        """Strike a lease out."""
        self._by_run.pop(held.delivery.run, None)
        self._by_message.pop(held.message_id, None)

    def of_run(self, run: str) -> Held | None:
        """The lease of a run."""
        return self._by_run.get(run)

    def of_message(self, message_id: str) -> Held | None:
        """The lease under which a message is held."""
        return self._by_message.get(message_id)

    def of_tag(self, delivery_tag: str) -> Held | None:
        """The very lease that a delivery tag, ``<token>:<run>``, was given for; None once that one is over."""
        token, _, run = delivery_tag.partition(":")
        held = self._by_run.get(run)
        return held if held is not None and str(held.delivery.token) == token else None

    def first_unmarked(self) -> float | None:
        """When the run started that has executed longest without the server's knowing."""
        starts = [held.started_at for held in self if held.started_at is not None and not (held.marked or held.lost)]
        return min(starts, default=None)

    def stuck_since(self, instant: float) -> list[str]:
        """The message ids of what was fetched before *instant*, and the pool was given and did not begin."""
        waits = (held for held in self if held.taken and held.started_at is None)
        return [held.message_id for held in waits if held.fetched_at < instant]

    def renewal(self, now: float) -> list[Any]:
        """What the renew script is told of the leases: how many have started, those, and all; marks what it names."""
        started: list[Any] = []
        leases: list[Any] = []
        for held in self:
            if held.lost:
                continue
            run, token = held.delivery.run, held.delivery.token
            if held.started_at is not None and not held.marked:
                held.marked = True
                started += [run, token, round((now - held.started_at) * 1000), "1" if held.last else ""]
            leases += [run, token]
        return [len(started) // 4, *started, *leases]
