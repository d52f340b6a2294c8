"""What a worker has to say at the next opportunity: how its runs ended, what it hands back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from taglane.model.envelope import next_try
from taglane.runtime.tally import Tally

if TYPE_CHECKING:
    from taglane.model.envelope import Delivery
    from taglane.runtime.carry import Again, Outcome
    from taglane.runtime.held import Held
    from taglane.runtime.run_log import Said

HAND_BACK_MS = 1000
"""How long a run waits that this worker gives up for another, or whose task asked for another try."""

MOST_LOGGED = 1_048_576
"""Bytes of logs that are said at once, about."""

Call = tuple[str, list[Any]]
"""A move and its arguments."""


class Finish(NamedTuple):
    """One end of a run, as the finish script takes it."""

    run: str
    token: int
    kind: str
    ran_ms: int | str
    result: str
    part: str


class Outbox:
    """Gathers moves until they are sent together. Not thread-safe: `Holdings` holds its lock around it."""

    def __init__(self, tally: Tally | None = None) -> None:
        self._tally = tally or Tally()
        self._finishes: list[Finish] = []
        self._calls: list[Call] = []
        self._logged: list[tuple[str, int, Said]] = []

    def __bool__(self) -> bool:
        return bool(self._finishes or self._calls or self._logged)

    def end(self, held: Held, outcome: Outcome, ran: float | None) -> None:
        """Say how a run ended, after *ran* seconds; None when it never began."""
        delivery = held.delivery
        run, token = delivery.run, delivery.token
        self._tally.ended(held, outcome, ran)
        if outcome.log:
            self._logged += [(run, token, said) for said in outcome.log]
        match outcome.kind:
            case "retry":
                at, envelope, task, tag, step = outcome.again or _same_again(delivery, outcome)
                said = [run, token, at, envelope, outcome.result, task, tag, step, _milliseconds(ran)]
                self._calls.append(("retry", said))
            case "requeue" if not held.last:
                self.hand_back(delivery, HAND_BACK_MS)
            case "died" | "requeue":
                self._calls.append(("died", [run, token, "1"] if held.last else [run, token]))
            case kind:
                self._finishes.append(Finish(run, token, kind, _milliseconds(ran), outcome.result, outcome.part))

    def hand_back(self, delivery: Delivery, wait_ms: int) -> None:
        """Give a run back, uncounted, to the tail of its queue, for *wait_ms* ms from now."""
        self._calls.append(("hand_back", [wait_ms, delivery.run, delivery.token]))

    def hand_back_at_once(self, deliveries: list[Delivery]) -> None:
        """Give runs back, uncounted, to the head of their queues, in their order."""
        if deliveries:
            arguments: list[Any] = [""]
            for delivery in deliveries:
                arguments += [delivery.run, delivery.token]
            self._calls.append(("hand_back", arguments))

    def pack(self, most: int) -> list[Call]:
        """Take out what is to be said, *most* ends at once: what was logged first, so that an end finds it there."""
        logged = self._pack_logged() if self._logged else []
        if self._logged:
            return logged
        finishes, self._finishes = self._finishes[:most], self._finishes[most:]
        calls, self._calls = self._calls, []
        if finishes:
            calls.insert(0, ("finish", [value for finish in finishes for value in finish]))
        return logged + calls

    def _pack_logged(self) -> list[Call]:
        now, size, count = time.monotonic(), 0, 0
        for _, _, said in self._logged:
            size, count = size + said.size, count + 1
            if size > MOST_LOGGED:
                break
        taken, self._logged = self._logged[:count], self._logged[count:]
        return [("log", said.arguments(run, token, now)) for run, token, said in taken]


def _milliseconds(ran: float | None) -> int | str:
    return "" if ran is None else max(0, round(ran * 1000))


def _same_again(delivery: Delivery, outcome: Outcome) -> Again:
    return f"+{outcome.wait or 0}", next_try(delivery.envelope, outcome.trace), delivery.task, delivery.tag, ""
