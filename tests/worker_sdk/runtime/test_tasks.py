"""How the join of a chord arranges its parts; that it joins, and how ends are told, is in tests/e2e."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery, chain, chord, group
from taglane.model.envelope import ENDED_TASK, JOIN_TASK
from taglane.runtime.tasks import _arranged, _parts_of, add_tasks

PARTS = [{"id": name, "s": "SUCCESS", "r": name.upper()} for name in "abc"]
APP = Celery("joining", set_as_current=False)


def make_part(name: str) -> Any:
    """A signature that is a part of a chord around its own."""
    return APP.signature("a.task", task_id=name, group_id="outer", group_index=0, chord=APP.signature("a.body"))


def test_both_are_added_once() -> None:
    """An application that is installed again has them already, and is not told of it."""
    app = Celery("added", set_as_current=False)
    add_tasks(app)
    add_tasks(app)
    assert {JOIN_TASK, ENDED_TASK} <= set(app.tasks)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (None, ["A", "B", "C"]),
        (["c", "a", "b"], ["C", "A", "B"]),
        ([["a", "b"], "c"], [["A", "B"], "C"]),
        ([["a", ["b"]], "c"], [["A", ["B"]], "C"]),
        ([["a", "unknown"], "c"], ["A", "B", "C"]),
    ],
)
def test_results_are_nested_as_the_header_is(shape: list[Any] | None, expected: list[Any]) -> None:
    """As the groups of the header are; in the order of the parts when an id is not among them."""
    assert expected == _arranged(PARTS, shape)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (APP.signature("a.task"), []),
        (make_part("a"), ["a"]),
        (group([make_part("a"), make_part("b")], app=APP), ["a", "b"]),
        (chain(APP.signature("a.first"), make_part("b"), app=APP), ["b"]),
        (chord([APP.signature("a.first")], make_part("b"), app=APP), ["b"]),
    ],
    ids=["none", "task", "group", "chain", "chord"],
)
def test_the_parts_that_a_failed_body_is(body: Any, expected: list[str]) -> None:
    """Of whatever kind it is, each that the outer chord waits for."""
    assert [(name, "outer") for name in expected] == [(part.id, part.group) for part in _parts_of(body)]
