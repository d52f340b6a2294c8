"""How a worker process ends; each case has a process of its own, since signals and exits are a process's."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = """
import sys, threading, time
from celery.worker import state
from taglane.runtime.farewell import Farewell

def say(*words):
    sys.stdout.write(" ".join(str(word) for word in words) + "\\n")
    sys.stdout.flush()

def give_back(why):
    if farewell.take_turn():
        say("back", why, state.should_stop)
        farewell.exit(7)

farewell = Farewell(float(sys.argv[1]), lambda number: say("stopping", number), give_back)
farewell.start(supervised=sys.argv[2] == "supervised")
say("ready")
for line in sys.stdin:
    exec(line)
"""


class Ending:
    """A process with a farewell."""

    def __init__(self, grace: float, supervised: str = "alone") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(grace), supervised],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert "ready" == self.hears()

    def hears(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def does(self, code: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(code + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(params=["alone"])
def patient(request: pytest.FixtureRequest) -> Iterator[Ending]:
    """One with more grace than a test takes."""
    ending = Ending(60, request.param)
    yield ending
    ending.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_once_it_stops_and_told_twice_it_gives_back(patient: Ending, number: signal.Signals) -> None:
    """With the exit code that was given: it was told to stop, and did."""
    patient.process.send_signal(number)
    assert f"stopping {int(number)}" == patient.hears()
    patient.process.send_signal(number)

    assert "back told again 0" == patient.hears()
    assert 7 == patient.process.wait(10)


def test_sigquit_is_at_once(patient: Ending) -> None:
    """Without a grace."""
    patient.process.send_signal(signal.SIGQUIT)

    assert ["stopping 3", "back told to stop at once 0"] == [patient.hears(), patient.hears()]


def test_a_grace_ends() -> None:
    """What still runs then is given back, though the main thread is at something else."""
    ending = Ending(0.2)
    ending.process.send_signal(signal.SIGTERM)

    assert ["stopping 15", "back the grace is over 0"] == [ending.hears(), ending.hears()]
    ending.end()


def test_one_that_leaves_in_time_gives_nothing_back(patient: Ending) -> None:
    """Who takes the turn first ends the process."""
    patient.process.send_signal(signal.SIGTERM)
    assert "stopping 15" == patient.hears()
    patient.does("say(farewell.take_turn(), farewell.take_turn())")
    assert "True False" == patient.hears()
    patient.does("farewell.over(); farewell._thread.join(10); say('left', farewell._thread.is_alive())")

    assert "left False" == patient.hears()


@pytest.mark.parametrize("patient", ["supervised"], indirect=True)
def test_ctrl_c_is_the_supervisors(patient: Ending) -> None:
    """A terminal sends it to all processes: the supervisor passes it on as the one signal that it is."""
    patient.process.send_signal(signal.SIGINT)
    patient.process.send_signal(signal.SIGTERM)

    assert "stopping 15" == patient.hears()


def test_it_may_stop_by_itself(patient: Ending) -> None:
    """With an exit code of its own, which no signal takes away."""
    patient.does("state.should_stop = 69; farewell.ask()")
    assert "stopping 0" == patient.hears()
    patient.process.send_signal(signal.SIGTERM)

    assert "back told again 69" == patient.hears()


def test_a_forked_child_tells_nobody(patient: Ending) -> None:
    """It has the handlers for a moment, and its parent's pipe."""
    patient.does("import os; child = os.fork() or os.kill(os.getpid(), 15) or os._exit(5)")
    patient.does("say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), state.should_stop)")

    assert "5 None" == patient.hears()
    assert patient.process.poll() is None
