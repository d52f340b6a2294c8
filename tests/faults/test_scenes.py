"""The scenes of `make faults`, in their short form: they can't rot unseen. Nothing here looks at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from faults import report
from faults.diary import Entry, Repeats, judge
from faults.figures import Figures
from faults.form import short
from faults.play import SCENES, play
from faults.sides import Stock

if TYPE_CHECKING:
    from faults.play import Scene

BEGUN = 2
"""Runs that a worker of two slots executes at once."""

ELSEWHERE = {
    "workers killed, threads",
    "workers killed, solo",
    "server paused",
    "schedulers killed, stopped; beat killed",
}
"""Scenes whose rule test_workers, test_connections and test_schedulers hold as well."""

OF_A_KIND = {"half-open while busy", "server killed twice, appendfsync everysec"}
"""Scenes of which there is another with the same play."""

BESIDE = {"half-open while idle": ("connections cut", "poison run", "child killed (out of memory)")}
"""Scenes that are played while another one waits, for most of its time, for a connection that says nothing."""

BY_NAME = {scene.name: scene for scene in SCENES}
ALONE = BY_NAME.keys() - ELSEWHERE - OF_A_KIND - {name for names in BESIDE.values() for name in names}
IN_SUITE = [(scene, *(BY_NAME[name] for name in BESIDE.get(scene.name, ()))) for scene in SCENES if scene.name in ALONE]


def test_the_suite_leaves_out_scenes_that_there_are() -> None:
    assert BY_NAME.keys() >= ELSEWHERE | OF_A_KIND
    assert {name for scenes in IN_SUITE for name in names_of(scenes)} == BY_NAME.keys() - ELSEWHERE - OF_A_KIND


def names_of(scenes: tuple[Scene, ...]) -> list[str]:
    return [scene.name for scene in scenes]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scenes", IN_SUITE, ids=lambda scenes: "; ".join(names_of(scenes)))
def test_nothing_is_lost_and_nothing_is_executed_twice_without_need(scenes: tuple[Scene, ...]) -> None:
    """Whatever falls: each run gets its result, and only what a fallen process was in is executed again."""
    with ThreadPoolExecutor(2) as pool:  # each scene has a server of its own
        played = list(pool.map(lambda scene: play(scene.ours, short()), scenes))

    for scene, came_to in zip(scenes, played, strict=True):
        check(scene.name, came_to)


def check(name: str, came_to: Figures | str) -> None:
    assert isinstance(came_to, Figures), f"{name}: {came_to}"
    assert 0 == came_to.lost, name
    assert 0 == came_to.repeats.excess, name
    assert 0 == came_to.overwritten, name
    assert 0 == came_to.unaccounted, name
    assert came_to.repeats.cut_off <= came_to.faults * BEGUN, name
    assert came_to.repeats.unsaid <= came_to.faults * BEGUN, name
    assert came_to.faults > 0, name
    assert came_to.seconds > 0, name


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["workers killed, prefork", "schedulers killed, stopped; beat killed"])
def test_stock_celery_stands_beside_it(name: str) -> None:
    """The scenes are played on stock Celery as well, whose figures are reported and not judged."""
    (scene,) = (scene for scene in SCENES if scene.name == name)
    came_to = play(scene.stock, short())

    assert isinstance(came_to, Figures), came_to
    assert came_to.runs > 0
    (line,) = report.lines(scene.name, Stock.name, came_to)
    assert line.startswith(scene.name)


def entry(what: str, pid: int, at: float) -> Entry:
    return Entry(what, "acme.1", pid, at)


def test_a_repetition_is_judged_by_what_became_of_the_first_executions_process() -> None:
    """It fell in it: cut off; after it: unsaid; it was well, or fell before, or stood still meanwhile: as it says."""
    first, again = [entry("start", 1, 1.0), entry("end", 1, 2.0)], entry("start", 2, 5.0)

    assert Repeats() == judge(first, {})
    assert Repeats(excess=1) == judge([*first, again], {})
    assert Repeats(excess=1) == judge([*first, again], {1: 0.5})
    assert Repeats(cut_off=1) == judge([*first[:1], again], {1: 1.5})
    assert Repeats(cut_off=1) == judge([*first, again], {1: 1.5})
    assert Repeats(unsaid=1) == judge([*first, again], {1: 2.5})
    assert Repeats(cut_off=1) == judge([again, *first], {1: 1.5})
