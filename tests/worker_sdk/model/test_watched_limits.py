"""The limits that schedulers watch: connections, bandwidth, memory, and what becomes of who is over them."""

from __future__ import annotations

from typing import Any

import pytest
from taglane.errors import BadLimit
from taglane.model.limits import Limits, change_limits, read_limits, spelled


def test_they_are_kept_and_read_and_spelled() -> None:
    """Sizes as users write them; what is kept reads back."""
    given = {"connections": 100, "bandwidth": "10MiB/s", "memory": "64MiB", "overuse": "cut", "weight": "1.5"}

    limits = change_limits(Limits(), given)

    assert Limits(connections=100, bandwidth=10 << 20, memory=64 << 20, overuse="cut", weight=1.5) == limits
    assert limits == read_limits(limits.kept())
    written = {"weight": 1.5, "connections": 100, "bandwidth": "10MiB", "memory": "64MiB", "overuse": "cut"}
    assert written == spelled(limits)
    assert limits == change_limits(Limits(), spelled(limits))
    assert Limits(weight=1.5) == change_limits(
        limits, {"connections": None, "bandwidth": "none", "memory": "none", "overuse": "none"}
    )


def test_memory_may_be_more_than_a_count() -> None:
    """A limit of many GiB is one."""
    assert 64 << 30 == change_limits(Limits(), {"memory": "64GiB"}).memory


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connections", 0),
        ("bandwidth", "fast"),
        ("bandwidth", 0),
        ("memory", "-1MiB"),
        ("memory", "64MiB/s"),
        ("memory", 1.5),
        ("memory", True),
        ("memory", 2**51),
        ("overuse", "kill"),
        ("overuse", 1),
        ("overuse", ["cut"]),
    ],
)
def test_what_they_cant_be(name: str, value: Any) -> None:
    """The error names limit and value; a server that keeps such a thing keeps no limit."""
    with pytest.raises(BadLimit, match=rf"limits\.{name}: .* can't be: "):
        change_limits(Limits(), {name: value})

    assert Limits() == read_limits({name: str(value)})
