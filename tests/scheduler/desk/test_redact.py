"""What is covered in params, and that who edits need not see it to keep it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from taglane_scheduler.desk.redact import MASK, redacted, restored

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(some.sampled_from(["a", "db_password", "token", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def test_secrets_are_covered_at_any_depth() -> None:
    """By the names of their keys, whatever their case and hyphens; more names by a setting."""
    params = {"Api-Key": "k", "db": [{"PASSWORD": {"a": 1}, "host": "h"}], "pin": 7, "token": "", "tokens": []}

    covered, count = redacted(params, "pin, ,ssn")

    assert {"Api-Key": MASK, "db": [{"PASSWORD": MASK, "host": "h"}], "pin": MASK, "token": "", "tokens": []} == covered
    assert 3 == count


def test_what_is_nested_too_deep_is_covered_whole() -> None:
    """A tenant may nest as it likes."""
    value: Any = {"password": "p"}
    for _ in range(900):
        value = [value]

    covered, count = redacted(value)

    assert 1 == count
    assert "'p'" not in repr(covered)


@given(JSON)
def test_what_was_covered_and_not_touched_comes_back(value: Any) -> None:
    """Covering and restoring gives what was there."""
    assert value == restored(redacted(value)[0], value)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ({"token": MASK, "a": 2}, {"token": "t", "a": 2}),
        ({"token": "new"}, {"token": "new"}),
        ({"other": MASK}, {"other": MASK}),
        ({"list": [{"token": MASK}, 1, 2]}, {"list": [{"token": "u"}, 1, 2]}),
    ],
)
def test_an_edit_keeps_what_is_still_covered(typed: Any, kept: Any) -> None:
    """At the place where it stood."""
    assert kept == restored(typed, {"token": "t", "a": 1, "list": [{"token": "u"}]})
