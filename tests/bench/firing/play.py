"""Lets schedulers fire a fleet on a server of its own, and measures what that takes: `taglane scheduler` processes."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.firing.beside import hold
from bench.firing.fleet import Outcome, published, put, read
from bench.tenancy.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.firing.fleet import Fleet

SETTLE_MS = 3_000
PUT_MS = 0.25
"""What putting a job takes at most, so that all are there before the first is due."""

PATIENCE_S = 60.0
POLL_S = 0.1
TICKS = os.sysconf("SC_CLK_TCK")


class TooSlow(Exception):
    """Filling took longer than there was time before the first due instant."""


@dataclass(frozen=True, slots=True)
class Played:
    """What became of the fires, and what they cost: processor time in us a fire, memory in MB."""

    fires: int
    outcome: Outcome
    scheduler: float
    """Of all schedulers together."""

    server: float
    memory: float
    """Resident, of the largest scheduler, at the end."""

    calls: float
    """Function calls of the server, a fire."""

    @property
    def rate(self) -> float:
        """Fires a second, from the first due instant until the last run was made."""
        return len(self.outcome.lateness) / self.outcome.took if self.outcome.took else 0.0


def play(fleet: Fleet, *, schedulers: int = 1, beside: int = 0) -> Played:
    """Fire a whole fleet; *beside* says how many more jobs the tenants have, which are not due.

    No worker is beside it, so every run waits in its queue, and all are dropped with the server.
    """
    for patience in (1, 3, 9):
        try:
            return _play(fleet, schedulers, beside, patience)
        except TooSlow:
            continue
    raise TooSlow


def _play(fleet: Fleet, schedulers: int, beside: int, patience: int) -> Played:
    with ExitStack() as stack:
        stage = stack.enter_context(Stage(quiet=True))
        hold(stage, fleet.names, beside)
        first = _soon(stage, SETTLE_MS + patience * PUT_MS * fleet.tenants * fleet.each)
        put(stage, fleet, first)
        processes = [stack.enter_context(stage.scheduler()) for _ in range(schedulers)]
        for process in processes:
            process.wait_ready()
        if _now(stage) > first - SETTLE_MS / 6:
            raise TooSlow
        time.sleep((first - _now(stage)) / 1000 - 0.2)
        before = processor([process.pid for process in processes]), _server_spent(stage)
        calls = stage.redis.info("commandstats").get("cmdstat_fcall", {"calls": 0})["calls"]
        _wait(stage, fleet, first)
        pids = [process.pid for process in processes]
        after = processor(pids), _server_spent(stage)
        calls = stage.redis.info("commandstats")["cmdstat_fcall"]["calls"] - calls
        memory = max(map(_memory, pids))
        outcome = read(stage, fleet, first)
        us = 1e6 / max(1, len(outcome.lateness))
        spent = [(end - begin) * us for begin, end in zip(before, after, strict=True)]
        return Played(fleet.fires, outcome, spent[0], spent[1], memory, calls * us / 1e6)


def _wait(stage: Stage, fleet: Fleet, first: int) -> None:
    """Wait until all is published, or for so long that it never will be."""
    give_up = first / 1000 + fleet.lasts / 1000 + PATIENCE_S
    done = published(stage, fleet)
    while next(done) < fleet.tenants and _now(stage) / 1000 < give_up:
        time.sleep(POLL_S)


def _soon(stage: Stage, in_ms: float) -> int:
    return (int(_now(stage) + in_ms) // 1000 + 1) * 1000


def _now(stage: Stage) -> float:
    seconds, micros = stage.redis.time()
    return float(seconds * 1000 + micros / 1000)


def processor(pids: Sequence[int]) -> float:
    """Processor time, s, of these processes so far."""
    return sum(sum(map(int, _stat(pid)[11:13])) for pid in pids) / TICKS


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _server_spent(stage: Stage) -> float:
    used = stage.redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])
