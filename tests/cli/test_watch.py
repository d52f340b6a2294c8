"""A list that is shown again and again."""

from __future__ import annotations

import os
import pty
import signal
import sys
from subprocess import Popen
from typing import TYPE_CHECKING, Any

from eventually import eventually
from taglane.errors import ServerUnavailable
from taglane_cli.watch import watch

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from cli.conftest import Cli


def test_without_a_terminal_what_changes_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """One list after the other; a server that is gone for a while is waited for, and said to be."""
    answers: list[Any] = [[{"id": 1}], [{"id": 1}], ServerUnavailable("no server at x"), [{"id": 2}], []]

    def read() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watch(read, ["id"], times=5, every=0)

    out, err = capsys.readouterr()
    assert ["ID", "1", "", "ID", "2"] == out.strip().splitlines()
    assert ["note: no server at x; trying again", "nothing"] == err.splitlines()


def test_ctrl_c_is_a_good_end(capsys: pytest.CaptureFixture[str]) -> None:
    def read() -> Any:
        raise KeyboardInterrupt

    watch(read, ["id"], times=1, every=0)

    assert "" == capsys.readouterr().out


def test_on_a_terminal_it_stays_in_place(acme: Cli, tmp_path: Path) -> None:
    """Until Ctrl-C, with 0."""
    run_id = acme.ok("enqueue", "a.b").out.strip()
    outer, inner = pty.openpty()
    command = [sys.executable, "-m", "taglane_cli.main", "run", "list", f"id:{run_id}", "--watch"]
    environment = {**os.environ, "TAGLANE_URL": acme.url, "TERM": "xterm", "COLUMNS": "200"}
    seen = b""

    with Popen(command, env=environment, stdin=inner, stdout=inner, stderr=inner, cwd=tmp_path) as process:

        def is_shown() -> bool:
            nonlocal seen
            seen += os.read(outer, 65_536)
            return b"queued" in seen

        eventually(is_shown)
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(10)
    os.close(inner)
    os.close(outer)
