"""JSON that somebody typed."""

from __future__ import annotations

import pytest
from taglane_scheduler.web.console.json_text import read_object


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,\n "b": }', "line 2, column 7"),
        ("{", "line 1, column 2"),
        ("[1]", "must be a JSON object"),
        ('{"a": NaN}', "params.a is nan"),
        ("[" * 100_000, "nested too deep"),
        ('{"a": ' + "1" * 10_000 + "}", "a number that is too long"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, said: str) -> None:
    """Line and column, or the path to the value."""
    found, wrong = read_object(text)

    assert found is None
    assert said in wrong


def test_an_object_is_read() -> None:
    """Nothing typed is no params."""
    assert ({"a": [1]}, "") == read_object(' {"a": [1]} ')
    assert ({}, "") == read_object(" \n")
