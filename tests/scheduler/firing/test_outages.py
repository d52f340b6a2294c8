"""What is told of a server that is gone, or whose clock is not believed."""

from __future__ import annotations

import logging
import threading

import pytest
from taglane.errors import ServerUnavailable
from taglane_scheduler.firing import outages


def test_alarm_is_repeated(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stays apart is told of again and again; its return, once."""
    monkeypatch.setattr(outages, "ALARM_S", 0.0)
    alarm = outages.Alarm(logging.getLogger())

    for apart in (None, 7_000.0, 7_000.0, None, None):
        alarm.tell(apart)

    assert ["clock_apart", "clock_apart", "clock_agrees"] == [text.split()[0] for text in caplog.messages]


def test_a_server_that_is_gone_is_told_of_once_and_its_return(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is tried; and when our patience is over, the error is raised."""
    stopping = threading.Event()
    stopping.set()  # nothing is waited for
    error = ServerUnavailable("no server")
    gone = outages.Gone(patience=60, log=logging.getLogger())

    gone.still(error, stopping)
    gone.still(error, stopping)
    gone.ended()
    gone.ended()

    assert ["server_lost", "server_back"] == [text.split()[0] for text in caplog.messages]
    with pytest.raises(ServerUnavailable, match="no server"):
        outages.Gone(patience=-1, log=logging.getLogger()).still(error, stopping)
