"""The desk's alerts."""

from __future__ import annotations

from threading import BoundedSemaphore

import pytest
from desks import desk_of, services_at
from taglane_scheduler.desk import alerts


def test_few_channels_are_tested_at_a_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver may take its time, and the console has few threads: who comes then is to come again."""
    turns = BoundedSemaphore(1)
    monkeypatch.setattr(alerts, "_testing", turns)
    with services_at(url) as services:
        desk = desk_of(services)
        desk.alerts.put_channel({"name": "hook", "kind": "webhook", "url": "http://127.0.0.1:9/"})

        with turns, pytest.raises(alerts.TooManyTests, match="try again"):
            desk.alerts.test_channel("hook")
        assert not desk.alerts.test_channel("hook").ok
        assert turns.acquire(blocking=False)
