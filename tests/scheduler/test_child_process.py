from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from taglane_scheduler.child_process import ChildProcess

if TYPE_CHECKING:
    from pathlib import Path

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


def test_what_it_prints_is_in_the_log(tmp_path: Path) -> None:
    script = "import os, sys; print(os.environ['WORD'], file=sys.stderr)"
    child = ChildProcess([sys.executable, "-c", script], log=tmp_path / "log", environment={"WORD": "here"})

    eventually(lambda: not child.alive)
    child.end()

    assert "here\n" == (tmp_path / "log").read_text()


def test_a_child_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    child = ChildProcess([sys.executable, "-c", DEAF], log=tmp_path / "log")
    eventually((tmp_path / "log").read_text)

    child.end(signal.SIGTERM, patience=0.1)

    assert not child.alive


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ChildProcess([sys.executable, "-c", ""], log=tmp_path / "missing" / "log")
