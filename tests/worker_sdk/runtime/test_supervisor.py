"""Several processes as one: started, started again, ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = """
import os, signal, sys, time
from taglane.runtime import supervisor

supervisor.PAUSE = float(os.environ.get("PAUSE", "0.02"))

def wait():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(os.environ.get("CODE", "0"))))
    sys.stdout.write(f"began {{os.getpid()}}\\n")
    sys.stdout.flush()
    while True:
        time.sleep(0.05)  # not pause(): a signal that came right before it would be waited for in vain

def end():
    {end}

def work():
    return end() if {end!r} != "wait()" and os.fork_number == 0 else wait()

def number(place):
    os.fork_number = getattr(os, "fork_number", -1) + 1
    sys.stdout.write(f"place {{place}}\\n")
    sys.stdout.flush()

sys.exit(supervisor.Supervisor(work, {count}, number).run())
"""


class Supervised:
    """A process that supervises *count* others; the first of them may end as *end* says."""

    def __init__(self, folder: Path, count: int = 3, end: str = "wait()", code: int = 0, pause: float = 0.02) -> None:
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT.format(count=count, end=end)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "CODE": str(code), "PAUSE": str(pause)},
            )

    @property
    def text(self) -> str:
        return self._log.read_text()

    @property
    def began(self) -> list[int]:
        """All that have ever begun."""
        return [int(line.split()[1]) for line in self.text.splitlines() if line.startswith("began")]

    @property
    def living(self) -> set[int]:
        return {pid for pid in self.began if Path(f"/proc/{pid}/exe").exists()}

    def wait(self) -> int:
        return self.process.wait(20)


def has_begun(supervised: Supervised, number: int) -> bool:
    return len(supervised.began) > number


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    """Three processes that go on until they are told."""
    supervised = Supervised(tmp_path)
    eventually(lambda: len(supervised.began) == 3)
    yield supervised
    supervised.process.kill()
    supervised.wait()


def test_a_place_is_told_of_as_soon_as_its_process_is_gone(tmp_path: Path) -> None:
    """Not when the next one starts: until then nobody is to think that somebody works there."""
    supervised = Supervised(tmp_path, pause=60)
    try:
        eventually(lambda: len(supervised.began) == 3)
        os.kill(supervised.began[0], signal.SIGKILL)

        eventually(lambda: supervised.text.count("place ") == 4)
        assert 3 == len(supervised.began)
    finally:
        supervised.process.kill()
        supervised.wait()


def test_as_many_as_were_asked_for(supervised: Supervised) -> None:
    """Each a process of its own, a child of the one that was started."""
    children = Path(f"/proc/{supervised.process.pid}/task/{supervised.process.pid}/children").read_text()

    assert {int(child) for child in children.split()} == supervised.living
    assert 3 == len(supervised.living)


def test_one_that_was_killed_is_started_again(supervised: Supervised) -> None:
    """The others go on."""
    first, *others = supervised.began
    os.kill(first, signal.SIGKILL)

    eventually(lambda: len(supervised.began) == 4)
    assert {*others, supervised.began[3]} == supervised.living
    assert f"worker_process_died pid={first} code=-9" in supervised.text


@pytest.mark.parametrize("end", ["os._exit(0)", "os._exit(3)"])
def test_one_whose_task_ends_the_process_is_started_again(tmp_path: Path, end: str) -> None:
    """It did not come to its own end: a task, or a library, has called exit."""
    supervised = Supervised(tmp_path, end=end)
    try:
        eventually(lambda: len(supervised.living) == 3)
    finally:
        supervised.process.terminate()
        supervised.wait()


def test_one_that_ended_for_a_time_limit_is_followed_at_once(tmp_path: Path) -> None:
    """It has said how its run ended: there is nothing to wait for, and nobody has died."""
    supervised = Supervised(tmp_path, end="os._exit(75)")
    try:
        eventually(lambda: len(supervised.living) == 3)
        assert "worker_process_replaced" in supervised.text
        assert "worker_process_died" not in supervised.text
    finally:
        supervised.process.terminate()
        supervised.wait()


def test_all_that_were_killed_are_started_again(supervised: Supervised) -> None:
    """Also at once, as by a machine that is short of memory."""
    for pid in supervised.began:
        os.kill(pid, signal.SIGKILL)

    eventually(lambda: len(supervised.living) == 3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_ends_all(supervised: Supervised, number: signal.Signals) -> None:
    """It is passed on; the supervisor ends when the last has, without a fault."""
    supervised.process.send_signal(number)

    assert 0 == supervised.wait()
    assert set() == supervised.living
    assert 3 == len(supervised.began)


def test_the_worst_exit_code_counts(tmp_path: Path) -> None:
    """What the processes say when they are told to end."""
    supervised = Supervised(tmp_path, code=7)
    eventually(lambda: len(supervised.began) == 3)
    supervised.process.terminate()

    assert 7 == supervised.wait()


@pytest.mark.parametrize(
    ("end", "code"),
    [("return 0", 0), ("return 69", 69), ("sys.exit(69)", 69), ("sys.exit()", 0), ("sys.exit('no')", 1)],
)
def test_one_that_ends_by_itself_ends_all(tmp_path: Path, end: str, code: int) -> None:
    """It said itself that it can't go on: the others are told, and its code is the answer."""
    supervised = Supervised(tmp_path, end=end)

    assert code == supervised.wait()
    assert set() == supervised.living


def test_one_that_breaks_says_why(tmp_path: Path) -> None:
    """An error that nobody caught ends all, and is to be seen."""
    supervised = Supervised(tmp_path, end="raise RuntimeError('it broke')")

    assert 1 == supervised.wait()
    assert "RuntimeError: it broke" in supervised.text
    assert set() == supervised.living


def test_none_outlives_the_supervisor(supervised: Supervised) -> None:
    """Killed without a word, it takes them along."""
    supervised.process.kill()

    eventually(lambda: not supervised.living)


def test_a_signal_that_comes_early_is_not_lost(tmp_path: Path) -> None:
    """Whenever it comes, while the processes are being started too, all of them end."""
    for number in range(6):
        supervised = Supervised(tmp_path, count=12)
        eventually(partial(has_begun, supervised, number))
        supervised.process.terminate()
        assert 0 == supervised.wait()
        assert set() == supervised.living
