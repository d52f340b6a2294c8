"""How large the scenes are: the full form of `make faults`, and the short one of the suite."""

from __future__ import annotations

import os
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Form:
    """Counts, and seconds where it says so."""

    runs: int
    kills: int
    random: Random
    workers: int = 4
    every: float = 1.0
    """Seconds from one kill to the next, at least."""
    through_cuts: int = 1000
    """Runs that go while connections are cut."""
    cutting: float = 10.0
    """Seconds for which they are."""
    through_restarts: int = 200
    """Runs that are on their way when the server is killed."""
    silence: float = 5.0
    """Seconds for which the network says nothing."""
    pause: float = 30.0
    """Seconds for which the server stands still."""
    freezes: int = 4
    long: float = 1.0
    """Seconds of a run during which its worker is frozen."""
    stops: int = 5
    others: int = 100
    """Runs beside a poison run."""
    visibility: float = 5.0
    """Seconds for which stock Celery may hold a message before it is delivered again: its counterpart of a lease."""
    scheduling: float = 30.0
    """Seconds for which jobs are due each second, while schedulers fall."""
    jobs: int = 500
    beat_entries: int = 200
    """Beat fires 443 of 1,000 entries a second, and fewer the more there are: it is given what it can do."""
    beats_killed: int = 4


def full() -> Form:
    """The form that the environment asks for: FAULTS_RUNS, FAULTS_KILLS, FAULTS_SEED."""
    runs, kills = int(os.environ.get("FAULTS_RUNS", "2000")), int(os.environ.get("FAULTS_KILLS", "20"))
    return Form(runs, kills, Random(os.environ.get("FAULTS_SEED", "1")))


def short() -> Form:
    """One that a suite can afford."""
    return Form(
        60,
        2,
        Random(1),
        workers=2,
        every=0.0,
        through_cuts=100,
        cutting=1.0,
        through_restarts=100,
        silence=1.0,
        pause=6.0,
        freezes=1,
        long=0.5,
        stops=1,
        others=20,
        visibility=1.0,
        scheduling=3.0,
        jobs=20,
        beat_entries=20,
        beats_killed=1,
    )
