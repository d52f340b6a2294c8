"""Scenes in which workers fall: killed, one child killed, frozen, told to stop, poisoned."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from eventually import eventually
from faults.diary import judge
from faults.figures import Figures, figures

if TYPE_CHECKING:
    from faults.diary import Entry
    from faults.form import Form
    from faults.sides import Member, Side

WORKING = 3.0
"""Seconds for which we wait until the chosen worker executes something, before it falls anyhow."""
POISON_SECONDS = 10.0
"""For how long a poison run is watched: one that is never given up would be watched for ever."""


@dataclass
class Crew:
    """Workers of one side that fall and are replaced, and what was held by those that fell."""

    side: Side
    pool: str
    members: list[Member]
    fallen: dict[int, float] = field(default_factory=dict)
    held: list[tuple[float, set[int], set[str]]] = field(default_factory=list)
    """Of each fall: when, which processes, which runs they held."""

    def kill(self, place: int) -> None:
        """Kill a worker with all its processes."""
        victim = self.members[place]
        pids = set(victim.family())
        at = victim.kill_all()
        self._note(at, pids, victim)
        self.fallen.update(dict.fromkeys(pids, at))

    def replace(self, place: int) -> None:
        """Start another worker in the place of one that fell."""
        self.members[place] = self.side.member(self.pool)

    def freeze(self, place: int) -> list[Entry]:
        """Stop a worker with all its processes; answers what they execute."""
        victim = self.members[place]
        pids = set(victim.family())
        victim.freeze_all()
        at = time.monotonic()
        self._note(at, pids, victim)
        self.fallen.update(dict.fromkeys(pids, at))
        return self.side.diary.executing(pids)

    def stop(self, place: int) -> None:
        """Tell a worker to stop, and wait for its end."""
        victim = self.members[place]
        pids, held = set(victim.family()), self.side.held_by(victim)
        self.held.append((time.monotonic(), pids, held))
        victim.term()

    def _note(self, at: float, pids: set[int], victim: Member) -> None:
        self.held.append((at, pids, self.side.held_by(victim)))

    def recoveries(self) -> list[float]:
        """For each fall, the seconds until the last of what was held had been started elsewhere."""
        starts = [entry for entry in self.side.diary.entries() if entry.what == "start"]
        found = []
        for at, pids, held in self.held:
            again: dict[str, float] = {}
            for entry in starts:
                if entry.run in held and entry.at > at and entry.pid not in pids:
                    again.setdefault(entry.run, entry.at - at)
            if again:
                found.append(max(again.values()))
        return found


def workers_killed(side: Side, form: Form, pool: str) -> Figures:
    """Kill one worker after the other, each while it executes, about one a second."""
    crew = Crew(side, pool, [side.member(pool) for _ in range(form.workers)])
    runs: list[str] = []
    for number in range(form.kills):
        place = number % form.workers
        side.ready(crew.members[place])
        began = time.monotonic()
        runs += side.send(form.runs // form.kills, seconds=form.random.uniform(0.01, 0.02))
        _wait_until_working(side, crew.members[place], began)
        Event().wait(form.random.uniform(0, 0.1))
        crew.kill(place)
        if number + 1 < form.kills:
            crew.replace(place)
        Event().wait(max(0.0, began + form.every - time.monotonic()))
    missing = side.settle(runs)
    return figures(side, form.kills, runs, missing, fallen=crew.fallen, recoveries=crew.recoveries())


def _wait_until_working(side: Side, member: Member, since: float, slots: int = 1) -> None:
    family, give_up = set(member.family()), time.monotonic() + WORKING
    while time.monotonic() < give_up:
        entries = side.diary.entries()
        if sum(entry.what == "start" and entry.at > since and entry.pid in family for entry in entries) >= slots:
            return
        time.sleep(0.005)


def _place_of_first(side: Side, members: list[Member], since: float) -> int:
    """Which of these workers was the first to start something: one alone may take a small batch."""
    families = [set(member.family()) for member in members]
    first = eventually(lambda: side.diary.first_start(since, within=set().union(*families)), 30, "nothing executes")
    assert first is not None
    return next(place for place, family in enumerate(families) if first.pid in family)


def child_killed(side: Side, form: Form) -> Figures:
    """Kill the child that executes a run, as the kernel does when memory is short; its worker goes on."""
    member = side.member("prefork")
    side.ready(member)
    kills = min(form.kills, 10)
    runs: list[str] = []
    fallen: dict[int, float] = {}
    cut: list[tuple[str, float]] = []
    for _ in range(kills):
        runs += side.send(10, seconds=0.1)
        entry = eventually(partial(_to_cut, side, member, cut), 60, "nothing executes")[0]
        os.kill(entry.pid, signal.SIGKILL)
        fallen[entry.pid] = time.monotonic()
        cut.append((entry.run, fallen[entry.pid]))
        _wait_until_working(side, member, fallen[entry.pid])
        Event().wait(form.random.uniform(0.1, 0.3))
    missing = side.settle(runs)
    starts = [entry for entry in side.diary.entries() if entry.what == "start"]
    again = [[entry.at - at for entry in starts if entry.run == run and entry.at > at] for run, at in cut]
    return figures(side, kills, runs, missing, fallen=fallen, recoveries=[min(each) for each in again if each])


def _to_cut(side: Side, member: Member, cut: list[tuple[str, float]]) -> list[Entry]:
    """The executions of runs that were not cut off before: one that is too often is given up, as it should be."""
    before = {run for run, _ in cut}
    return [entry for entry in side.diary.executing(member.family()) if entry.run not in before]


def worker_frozen(side: Side, form: Form) -> Figures:
    """Stop a worker for longer than its lease while it executes, then let it go on, and end what it had begun."""
    crew = Crew(side, "prefork", [side.member("prefork") for _ in range(2)])
    runs: list[str] = []
    overwritten = 0
    for number in range(form.freezes):
        for member in crew.members:
            side.ready(member)
        began = time.monotonic()
        batch = side.send(8, seconds=form.long)
        runs += batch
        place = _place_of_first(side, crew.members, began)
        victim = crew.members[place]
        _wait_until_working(side, victim, began, slots=2)
        stopped = crew.freeze(place)
        side.settle(batch, patience=3 * side.visibility)
        before = side.results(batch)
        victim.thaw_all()
        _wait_until_ended(side, stopped)
        victim.term()  # it says what it has to say, and ends
        after = side.results(batch)
        overwritten += sum(old is not None and old != new for old, new in zip(before, after, strict=True))
        if number + 1 < form.freezes:
            crew.replace(place)
    missing = side.settle(runs)
    return figures(
        side, form.freezes, runs, missing, fallen=crew.fallen, recoveries=crew.recoveries(), overwritten=overwritten
    )


def _wait_until_ended(side: Side, stopped: list[Entry]) -> None:
    pids = {entry.pid for entry in stopped}
    known = {(entry.run, entry.pid) for entry in stopped}
    eventually(
        lambda: not any((entry.run, entry.pid) in known for entry in side.diary.executing(pids)),
        30,
        "what was frozen did not end its task",
    )


def worker_stopped(side: Side, form: Form) -> Figures:
    """Tell a worker to stop (SIGTERM) while it executes and holds more: what it has not begun is for others at once."""
    crew = Crew(side, "prefork", [side.member("prefork") for _ in range(2)])
    for member in crew.members:
        side.ready(member)
    runs: list[str] = []
    for number in range(form.stops):
        side.ready(crew.members[number % 2])
        began = time.monotonic()
        runs += side.send(60, seconds=0.05)
        _wait_until_working(side, crew.members[number % 2], began)
        Event().wait(form.random.uniform(0, 0.2))
        crew.stop(number % 2)
        if number + 1 < form.stops:
            crew.replace(number % 2)
    missing = side.settle(runs)
    return figures(side, form.stops, runs, missing, fallen=crew.fallen, recoveries=crew.recoveries())


def poisoned(side: Side, form: Form) -> Figures:
    """Run one that kills the process that executes it each time, among others."""
    member = side.member("prefork")
    side.ready(member)
    (poison,) = side.send(1, "poison")
    runs = side.send(form.others)
    missing = side.settle(runs)
    give_up = time.monotonic() + POISON_SECONDS
    while side.left() and time.monotonic() < give_up:
        time.sleep(0.1)
    entries = side.diary.entries()
    executed = sum(entry.run == poison for entry in entries)
    end = "then dead" if not side.left() else "and on"
    repeats = judge([entry for entry in entries if entry.run != poison], {})
    return Figures(executed, len(runs), len(missing), repeats, note=f"poison run {executed} times {end}")
