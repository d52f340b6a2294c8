from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from taglane_cli.stack import CommandFailed, NotReady, ProcessEnded, Stack, ended_by_sigterm

if TYPE_CHECKING:
    from pathlib import Path


def test_a_scheduler_and_a_worker_on_a_server_that_is_there(tmp_path: Path, url: str) -> None:
    """The server is left alone; what was started has ended when the block ends."""
    with Stack(tmp_path, url) as stack:
        stack.start_scheduler()
        assert "acme" in stack.run("tenant", "create", "acme")
        stack.check()

    assert url == stack.url
    assert "scheduler_stopped" in (tmp_path / "scheduler.log").read_text()


def test_a_process_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path, url: str) -> None:
    with Stack(tmp_path, url) as stack:
        name = stack.start_worker("acme", url, "no_such_module", concurrency=1, environment={})
        with pytest.raises(ProcessEnded, match="taglane tenant create acme"):
            stack.wait_until(lambda: False, name)


def test_a_process_that_is_never_ready_is_told(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taglane_cli.stack.READY_SECONDS", 0.1)
    with Stack(tmp_path, url) as stack, pytest.raises(NotReady, match="scheduler"):
        stack.wait_until(lambda: False, "scheduler")


def test_a_command_that_fails_is_told_with_what_it_said(tmp_path: Path, url: str) -> None:
    with Stack(tmp_path, url) as stack, pytest.raises(CommandFailed, match="taglane tenant create Nobody"):
        stack.run("tenant", "create", "Nobody")


def test_sigterm_ends_the_block_as_ctrl_c_does() -> None:
    with pytest.raises(KeyboardInterrupt), ended_by_sigterm():
        signal.raise_signal(signal.SIGTERM)
