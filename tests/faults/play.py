"""The scenes, and how each is played: on a fresh server, one side after the other."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from faults import scene_network, scene_workers
from faults.beat import beat_killed
from faults.diary import Repeats
from faults.figures import Figures
from faults.scene_schedulers import schedulers_scene
from faults.sides import Ours, Stock

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.form import Form
    from faults.sides import Side

LONG_LEASE = 15.0
"""Seconds; the default of ours. A network that is silent for longer than a lease is a dead worker to all others."""


@dataclass(frozen=True)
class Scene:
    """One row of the table: how it is played on each side."""

    name: str
    ours: Callable[[Form], Figures]
    stock: Callable[[Form], Figures]


def _scene(name: str, act: Callable[[Side, Form], Figures], **setting: Any) -> Scene:
    return Scene(name, partial(_on, Ours, act, setting), partial(_on, Stock, act, setting))


def _on(kind: type[Ours | Stock], act: Callable[[Side, Form], Figures], setting: dict[str, Any], form: Form) -> Figures:
    with kind(visibility=form.visibility, **setting) as side:
        return act(side, form)


def _schedulers(form: Form) -> Figures:
    came_to = schedulers_scene(seconds=form.scheduling, jobs=form.jobs, every=form.scheduling / (form.beats_killed + 1))
    return Figures(
        came_to.kills + came_to.stops,
        came_to.instants,
        came_to.missed,
        Repeats(excess=came_to.doubled + came_to.strange),
        note=f"lateness, ms: {came_to.lateness_p50} {came_to.lateness_p99} {came_to.lateness_max} (p50, p99, longest)",
    )


_restarted = {"durable": True, "scheduled": True}

SCENES = [
    *(
        _scene(f"workers killed, {pool}", partial(scene_workers.workers_killed, pool=pool), scheduled=True)
        for pool in ("prefork", "threads", "solo")
    ),
    _scene("child killed (out of memory)", scene_workers.child_killed),
    _scene("worker frozen, then thawed", scene_workers.worker_frozen),
    _scene("worker told to stop", scene_workers.worker_stopped),
    _scene("poison run", scene_workers.poisoned),
    _scene("connections cut", scene_network.connections_cut),
    _scene("half-open while idle", scene_network.half_open_idle, lease=LONG_LEASE),
    _scene("half-open while busy", scene_network.half_open_busy, lease=LONG_LEASE),
    _scene("server paused", scene_network.server_paused),
    *(
        _scene(
            f"server killed twice, appendfsync {fsync}",
            scene_network.server_restarted,
            options={"appendfsync": fsync},
            **_restarted,
        )
        for fsync in ("always", "everysec")
    ),
    Scene("schedulers killed, stopped; beat killed", _schedulers, beat_killed),
]


def play(part: Callable[[Form], Figures], form: Form) -> Figures | str:
    """Play a scene on one side; answers its figures, or why there are none. Whatever it started has ended then."""
    began = time.monotonic()
    try:
        came_to = part(form)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - a scene that fails is a line of the table
        return f"{type(error).__name__}: {error}"
    came_to.seconds = time.monotonic() - began
    return came_to
