"""The measurements of firing, in short: they can't rot unseen. Nothing looks at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench.firing.__main__ import MEASURES, draw, measure
from bench.firing.fleet import Outcome, compare
from bench.firing.play import play
from bench.firing.scenes import SHORT, Curves

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(120)
def test_every_fire_is_accounted_for() -> None:
    """With a real scheduler: none is missed, and none is there twice."""
    figures = measure(["bursts"], 1, SHORT).figures

    assert "bursts" in MEASURES
    assert {0} == {each.value for what, each in figures.items() if "missed" in what or "doubled" in what}
    assert 0 < figures["20 due in one second: rate"].value


@pytest.mark.timeout(120)
def test_two_schedulers_beside_jobs_that_are_not_due() -> None:
    """What is held beside the fleet is no part of it."""
    played = play(SHORT.shared, schedulers=2, beside=10)

    assert (12, 12, 0, 0) == (played.fires, len(played.outcome.late), played.outcome.missed, played.outcome.doubled)


def test_a_run_too_few_or_too_many_is_seen() -> None:
    """What is missing, what was asked for by nobody, what stands in its queue twice."""
    outcome = Outcome()

    compare(outcome, {"a": 10, "b": 10, "c": 20}, {"a": 12, "c": 20, "x": 30}, [b"a", b"a", b"c", b"x"], first=10)

    assert (1, 2) == (outcome.missed, outcome.doubled)
    assert [(0, 2), (10, 0)] == outcome.lateness
    assert 0.01 == outcome.took


def test_all_that_was_measured_is_drawn(tmp_path: Path) -> None:
    curves = Curves({"steady": [(0, 1)]}, {"one": [(1, 9)]}, {"one": [(1, 9)]}, {"server": [(1, 9)]}, {"taglane": 9})

    draw(curves, tmp_path)

    assert {"lateness", "rate", "cost", "held", "beat"} == {
        path.stem.removeprefix("fires-") for path in tmp_path.iterdir()
    }
