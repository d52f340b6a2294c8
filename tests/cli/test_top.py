"""`taglane top`, as far as it is a command: the screen has tests of its own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from subprocess import Popen
from typing import TYPE_CHECKING

from eventually import eventually
from taglane_cli.connection import Connection
from taglane_cli.top import source_of
from taglane_cli.top_source import View

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from cli.conftest import Cli


def test_it_takes_a_terminal(taglane: Cli) -> None:
    answer = taglane("top")

    assert 2 == answer.code
    assert "taglane queue list -o json" in answer.err


def test_whose_it_shows(taglane: Cli, acme: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """All tenants, or the one that is named, with the operator's credential; with a tenant's, that one."""
    for cli, tenant, expected in (
        (taglane, None, ["acme", "other"]),
        (taglane, "other", ["other"]),
        (acme, None, ["acme"]),
    ):
        monkeypatch.setenv("TAGLANE_URL", cli.url)
        with Connection() as connection:
            seen = source_of(connection, tenant).read(View("tenant"))
        assert (expected, "") == ([each.tenant for each in seen.tenants], seen.trouble)


def test_on_a_terminal(acme: Cli, tmp_path: Path) -> None:
    """It draws, and q ends it with 0."""
    outer, inner = pty.openpty()
    command = [sys.executable, "-m", "taglane_cli.main", "top", "--every", "0.2"]
    environment = {**os.environ, "TAGLANE_URL": acme.url, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "30"}
    seen = b""

    with Popen(command, env=environment, stdin=inner, stdout=inner, stderr=inner, cwd=tmp_path) as process:

        def is_shown() -> bool:
            nonlocal seen
            seen += os.read(outer, 65_536)
            return b"nothing needs" in seen

        eventually(is_shown, timeout=20)
        os.write(outer, b"q")
        os.set_blocking(outer, False)

        def has_ended() -> bool:
            with suppress(BlockingIOError):
                os.read(outer, 65_536)
            return process.poll() is not None

        eventually(has_ended, timeout=20)
        assert 0 == process.returncode
    os.close(inner)
    os.close(outer)


def test_without_its_extra(taglane: Cli, tmp_path: Path) -> None:
    """It says how to get it."""
    (tmp_path / "textual.py").write_text("raise ImportError('no textual')")
    code = "import pty, sys; sys.exit(pty.spawn([sys.executable, '-m', 'taglane_cli.main', 'top']) >> 8)"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TAGLANE_URL": taglane.url, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "pip install 'taglane[top]'" in done.stdout
    assert 2 == done.returncode
