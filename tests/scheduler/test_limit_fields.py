"""The limits of a tenant in a jobs file."""

from __future__ import annotations

import pytest
from taglane.model.limits import Limits
from taglane_scheduler.limit_fields import limits_of
from taglane_scheduler.yaml_events import BadYaml
from taglane_scheduler.yaml_tree import read_yaml


def test_limits_are_read_over_those_above() -> None:
    """What is left out is as above; `none` takes one away; numbers and texts like 10/s."""
    above = Limits(running=4, queued=100, weight=2.0)

    assert Limits(running=8, queued=None, weight=2.0, rate=10.0) == limits_of(
        read_yaml("{running: 8, queued: none, rate: 10/s}"), above
    )
    assert Limits(rate=1.5, fires=0.5) == limits_of(read_yaml("{rate: 90/m, fires: 0.5}"), Limits())
    assert above == limits_of(read_yaml(""), above)


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("5", 1, "limits is a mapping by name, not a number"),
        ("{running: 4, runing: 4}", 14, "limits.runing: 4 can't be: did you mean 'running'?"),
        ("{1: 4}", 2, "limits.1: 4 can't be: there are running"),
        ("{running: 0}", 11, "it must be a whole number from 1"),
        ("{rate: 5/s, running: -1}", 22, "limits.running: -1 can't be"),
        ("{running: 1.5}", 11, "limits.running: 1.5 can't be"),
        ("{running: yes please}", 11, "it must be a whole number from 1, or none"),
        ("{running: true}", 11, "limits.running: True can't be"),
        ("{rate: 0}", 8, "it must be above 0"),
        ("{rate: 10 a day}", 8, "write it like 10/s"),
        ("{rate: [10]}", 8, "limits.rate: [10] can't be"),
        ("{weight: heavy}", 10, "it must be a number above 0"),
        ("{weight: 0}", 10, "it must be a number from 0.001"),
        ("{weight: .inf}", 10, "limits.weight: inf can't be"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, column: int, why: str) -> None:
    """The value's, or the key's where that is what is wrong."""
    with pytest.raises(BadYaml, match=r".") as caught:
        limits_of(read_yaml(text), Limits())

    assert (1, column) == (caught.value.line, caught.value.column)
    assert why in caught.value.why


def test_a_limit_without_a_value_is_named_with_its_place() -> None:
    """Right behind the key, or where the next thing begins: the two parsers differ in where they see nothing."""
    with pytest.raises(BadYaml, match=r"limits\.running is empty: write none for no limit") as caught:
        limits_of(read_yaml("{running: }"), Limits())

    assert caught.value.column in {10, 11}
