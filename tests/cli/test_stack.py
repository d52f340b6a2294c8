from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, cast

import pytest
from eventually import eventually
from taglane.store import keys
from taglane_cli.stack import CommandFailed, NotReady, ProcessEnded, Stack, ended_by_sigterm, has_console, how_it_ended

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis


def kill_the_scheduler(redis: Redis) -> None:
    """Kill the one that this server knows, by the process id that is part of its own."""
    (scheduler,) = cast("list[bytes]", redis.hkeys(keys.SCHEDULERS))
    os.kill(int(scheduler.split(b":")[1]), signal.SIGKILL)


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


def test_a_scheduler_that_was_killed_is_started_again(tmp_path: Path, url: str, redis: Redis) -> None:
    """And only that one; how it ended is told."""
    with Stack(tmp_path, url) as stack:
        stack.start_scheduler()
        assert stack.restart_scheduler() is None
        kill_the_scheduler(redis)

        assert "was ended by SIGKILL" == eventually(stack.restart_scheduler)
        stack.check()
        assert stack.restart_scheduler() is None


@pytest.mark.parametrize(("code", "words"), [(-15, "was ended by SIGTERM"), (69, "ended by itself, with exit code 69")])
def test_how_a_process_ended(code: int, words: str) -> None:
    """By a signal or by an exit code; the error does not take its good days for a reason."""
    assert words == how_it_ended(code)
    assert f"the scheduler {words}; its log says: (nothing of why)" == str(ProcessEnded("scheduler", code, ""))


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


def test_a_console_is_entered_by_the_link_that_it_is_started_with(tmp_path: Path, url: str) -> None:
    """Once, as who administers all; without a port asked for it has any that is free."""
    with Stack(tmp_path, url) as stack:
        stack.start_scheduler()
        link = stack.start_console()

        with urllib.request.urlopen(link) as page:
            assert 200 == page.status
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(link)

    assert has_console()
