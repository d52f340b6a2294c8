"""The budget of a run, in its short form; how many commands it takes depends on no machine."""

from __future__ import annotations

import pytest
from bench.budget import BATCH, measure


@pytest.mark.timeout(120)
def test_what_a_run_asks_of_the_server() -> None:
    """Fetched and ended in calls for many, a run takes six commands and a little, inside of functions."""
    lines = {line.what: line for line in measure(4 * BATCH, ["solo"])}

    commands = {name: lines[f"server: {name}, {BATCH} a call"].commands for name in ("fetch", "finish")}
    assert commands["fetch"] is not None
    assert commands["finish"] is not None
    assert commands["fetch"] < 2.5
    assert commands["finish"] < 4.5
    assert lines["solo: main thread"].us > 0
