"""The limits that schedulers watch: connections, bandwidth, memory, and what becomes of who is over them."""

from __future__ import annotations

from typing import Any

import pytest
from taglane.errors import BadLimit
from taglane.model.limits import WATCHED, Limits, change_limits, parse_watched, read_limits, spelled


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


def test_a_rule_for_all_is_a_line_of_them() -> None:
    """As a setting has it; an empty one is none."""
    assert Limits() == parse_watched(" ")
    rule = parse_watched("connections=500  memory=1GiB overuse=cut bandwidth=1MiB/s")
    assert Limits(connections=500, memory=1 << 30, overuse="cut", bandwidth=1 << 20) == rule
    assert set(WATCHED) == set(rule.kept())


@pytest.mark.parametrize("text", ["running=5", "connections", "connections=", "=5", "memory=much", "overuse=kill", "5"])
def test_a_rule_is_of_nothing_else(text: str) -> None:
    """What is enforced elsewhere has no default here."""
    with pytest.raises(BadLimit):
        parse_watched(text)


def test_a_tenants_own_limits_come_first() -> None:
    """Each by itself."""
    default = Limits(connections=500, memory=5, overuse="cut")
    assert Limits(running=1, connections=7, memory=5, overuse="cut") == Limits(running=1, connections=7).over(default)
    assert Limits(overuse="alarm") == Limits(overuse="alarm").over(Limits(overuse="cut"))
