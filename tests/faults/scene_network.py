"""Scenes in which the workers are well, and what lies between them and the server is not, or the server itself."""

from __future__ import annotations

import time
from threading import Event
from typing import TYPE_CHECKING

from faults.figures import Figures, figures
from proxy import Proxy

if TYPE_CHECKING:
    from faults.form import Form
    from faults.sides import Side

CUT_EVERY = 0.5
DOWN = 0.5
HEALED_WITHIN = 60.0
"""Seconds after which a worker that serves nobody counts as hung."""


def connections_cut(side: Side, form: Form) -> Figures:
    """Cut all connections of two workers, again and again, while they work."""
    with Proxy(side.server.port) as proxy:
        for member in [side.member(port=proxy.port) for _ in range(2)]:
            side.ready(member)
        runs: list[str] = []
        cuts: list[float] = []
        for _ in range(round(form.cutting / CUT_EVERY)):
            until = time.monotonic() + CUT_EVERY
            runs += side.send(round(form.through_cuts * CUT_EVERY / form.cutting))
            Event().wait(form.random.uniform(0, CUT_EVERY / 4))
            proxy.cut()
            cuts.append(time.monotonic())
            Event().wait(max(0.0, until - time.monotonic()))
        missing = side.settle(runs)
        return figures(side, len(cuts), runs, missing, recoveries=_next_starts(side, cuts))


def half_open_idle(side: Side, form: Form) -> Figures:
    """Let the network swallow everything while a worker waits for work; its old connections never say a word again."""
    return _half_open(side, form, busy=False)


def half_open_busy(side: Side, form: Form) -> Figures:
    """Let the network swallow everything while a worker executes and fetches; its old connections stay dead."""
    return _half_open(side, form, busy=True)


def _half_open(side: Side, form: Form, *, busy: bool) -> Figures:
    with Proxy(side.server.port) as proxy:
        side.ready(side.member(port=proxy.port))
        runs = side.send(200, seconds=0.05) if busy else []
        Event().wait(1.0)  # for that long it works, or waits
        proxy.bury()
        runs += side.send(20)
        Event().wait(form.silence)
        proxy.stop_burying()
        healed = time.monotonic()
        missing = side.settle(runs, patience=HEALED_WITHIN)
        return figures(side, 1, runs, missing, recoveries=_next_starts(side, [healed]))


def server_paused(side: Side, form: Form) -> Figures:
    """Stop the server where it stands, then let it go on."""
    for member in [side.member() for _ in range(2)]:
        side.ready(member)
    runs = side.send(400, seconds=0.03)
    Event().wait(1.0)
    side.server.freeze()
    Event().wait(form.pause)
    side.server.thaw()
    thawed = time.monotonic()
    missing = side.settle(runs)
    return figures(side, 1, runs, missing, recoveries=_next_starts(side, [thawed]))


def server_restarted(side: Side, form: Form) -> Figures:
    """Kill the server, twice, and start it again from its log, while runs are sent and executed."""
    for member in [side.member() for _ in range(2)]:
        side.ready(member)
    runs: list[str] = []
    back: list[float] = []
    for _ in range(2):
        runs += side.send(form.through_restarts, seconds=0.02)
        Event().wait(form.random.uniform(0.3, 0.8))
        side.server.kill()
        Event().wait(DOWN)
        side.server.restart()
        back.append(time.monotonic())
        runs += side.send(50)
    missing = side.settle(runs)
    return figures(side, len(back), runs, missing, recoveries=_next_starts(side, back))


def _next_starts(side: Side, healed: list[float]) -> list[float]:
    """For each instant, the seconds until something was started; none where nothing was any more."""
    nexts = [side.diary.first_start(at) for at in healed]
    return [entry.at - at for at, entry in zip(healed, nexts, strict=True) if entry]
