"""YAML as events, by one parser or the other."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from taglane_scheduler import yaml_events
from taglane_scheduler.yaml_events import BadYaml
from taglane_scheduler.yaml_tree import read_yaml


def outcome(text: str, *, pure: bool) -> object:
    """What a text says, or None where it is refused."""
    try:
        return read_yaml(text, pure=pure).plain()
    except BadYaml:
        return None


def test_without_libyaml_a_text_says_the_same() -> None:
    """Values and their places."""
    text = "a: &x [1, 'two', !!str 5, ~]\nb: *x\nc:\n  d: |\n    e\n  f: {<<: {g: 1}}\n"

    assert read_yaml(text) == read_yaml(text, pure=True)
    assert {"a": [1, "two", "5", None], "b": [1, "two", "5", None], "c": {"d": "e\n", "f": {"g": 1}}} == read_yaml(
        text
    ).plain()
    with pytest.raises(BadYaml, match="1:9: no YAML"):
        read_yaml("a: [1, 2", pure=True)


@settings(max_examples=100, deadline=None)
@given(st.text("ab:-[]{}!%@ \n'\"#?,<~1", max_size=14))
def test_both_parsers_read_the_same(text: str) -> None:
    """Or ruamel has the word: what one reads as another value, nobody would find.

    In corners of block texts (`|#`, a comment in the first line) and anchors (`&a:`) it is ruamel that errs.
    """
    assert outcome(text, pure=True) == outcome(text, pure=False)


def test_a_file_is_read_as_far_as_is_asked_for() -> None:
    """And what is no YAML behind that is found when it is come to."""
    stream = io.StringIO("a: 1\n" * 100_000 + "}")

    found = yaml_events.events(stream)

    assert ["StreamStartEvent", "DocumentStartEvent"] == [type(next(found)).__name__ for _ in range(2)]
    assert stream.tell() < 100_000
    with pytest.raises(BadYaml, match="no YAML"):
        list(found)
