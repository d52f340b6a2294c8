"""YAML as values that know their place."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from taglane_scheduler.yaml_events import BadYaml
from taglane_scheduler.yaml_tree import did_you_mean, fields, pairs, read_yaml


def test_values_know_their_line_and_column() -> None:
    """Counted from 1, as editors do."""
    top = read_yaml("a:\n  b: [1, two]\n").data

    (key,) = top
    inner = next(iter(top[key].data.values()))

    assert ("a", 1, 1) == (key.name, key.line, key.column)
    assert ((2, 6), [(2, 7), (2, 10)]) == ((inner.line, inner.column), [(x.line, x.column) for x in inner.data])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        (
            "{a: 1, b: 1.5, c: true, d: null, e: x, f: '1'}",
            {"a": 1, "b": 1.5, "c": True, "d": None, "e": "x", "f": "1"},
        ),
        ("{on: no, yes: off}", {"on": "no", "yes": "off"}),
        ("at: 2026-11-22T09:00:00Z", {"at": "2026-11-22T09:00:00Z"}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        (
            "a: &x {b: 1}\ne: &y {b: 2, f: 3}\nd: {<<: [*x, *y]}",
            {"a": {"b": 1}, "e": {"b": 2, "f": 3}, "d": {"b": 1, "f": 3}},
        ),
        ("0x1f", 31),
    ],
)
def test_what_is_read(text: str, expected: object) -> None:
    """YAML 1.2, where `on` is a text; a date stays the text that it is; merges are taken."""
    assert expected == read_yaml(text).plain()


@pytest.mark.parametrize(
    ("text", "line", "column", "why"),
    [
        ("a: [1, 2", 1, 9, "no YAML"),
        ("a: 1\na: 2", 2, 1, "'a' is there twice"),
        ("a:\n\t- 1", 2, 1, "no YAML"),
        ("a: !!python/object/apply:os.system [x]", 1, 4, "the tag"),
        ("a: !!set {x}", 1, 4, "the tag"),
        ("a: !!python/name:os.system x", 1, 4, "the tag"),
        ("a: !!binary x", 1, 4, "the tag"),
        ("? [1]\n: 2", 1, 3, "a key is a plain text"),
        ("<<: 5", 1, 5, "<< takes a mapping"),
        ("a: *b", 1, 4, "no YAML"),
        ("a: 1\n---\nb: 2", 2, 1, "no YAML"),
        ("a: \x00", 1, 1, "no YAML"),
        ("a: &x [*x]", 1, 4, "nested too deeply"),
        ("[" * 500, 1, 102, "nested too deeply"),
        ("a: !!int ''", 1, 4, "an empty text is no number"),
    ],
)
def test_what_is_refused(text: str, line: int, column: int, why: str) -> None:
    """With the place."""
    with pytest.raises(BadYaml) as caught:
        read_yaml(text)

    assert why in caught.value.why
    assert (line, column) == (caught.value.line, caught.value.column)


def test_the_fields_of_a_mapping() -> None:
    """By their names; of nothing, none."""
    found = fields(read_yaml("{a: 1, b: 2}"), ["a", "b", "c"], "a thing")

    assert {"a": 1, "b": 2} == {name: value.data for name, value in found.items()}
    assert ({}, {}) == (fields(read_yaml(""), ["a"], "a thing"), pairs(read_yaml(""), "things"))
    assert ["x"] == [key.name for key in pairs(read_yaml("x: 1"), "things")]


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("5", 1, "a thing is a mapping, not a number"),
        ("{jobs: 1, timezon: 2}", 11, "a thing has no field 'timezon': did you mean 'timezone'?"),
        ("{5: 1}", 2, "a thing has no field 5: there are jobs, timezone"),
    ],
)
def test_other_fields_are_refused(text: str, column: int, why: str) -> None:
    """At their place, with the one that was perhaps meant, or all that there are."""
    with pytest.raises(BadYaml) as caught:
        fields(read_yaml(text), ["jobs", "timezone"], "a thing")

    assert (column, why) == (caught.value.column, caught.value.why)


def test_pairs_are_of_a_mapping() -> None:
    with pytest.raises(BadYaml, match="1:1: things is a mapping by name, not a list"):
        pairs(read_yaml("[1]"), "things")


def test_what_was_perhaps_meant() -> None:
    assert ("did you mean 'every'?", "") == (did_you_mean("evry", ["every"]), did_you_mean(5, ["every"]))


def test_a_document_does_not_grow_beyond_what_it_says() -> None:
    """Nine levels of nine aliases would be 400 million values."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]

    with pytest.raises(BadYaml, match="too large"):
        read_yaml("\n".join(lines))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("ab :#-é'\"", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_what_yaml_writes_is_read_back(value: object) -> None:
    """The same as ruamel's own reading, where it can read what it writes: it can't read `[: a]`."""
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.dump(value, stream)
    try:
        assert value == yaml.load(stream.getvalue())
    except YAMLError:
        reject()

    assert value == read_yaml(stream.getvalue()).plain()


@settings(max_examples=100, deadline=None)
@given(st.text("ab:-[]{}&*!|>%@ \n\t'\"#?,<~", max_size=20))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever is in the file, the answer is a value or one error of ours."""
    try:
        read_yaml(text).plain()
    except BadYaml as error:
        place = (error.line, error.column)
    else:
        place = (1, 1)

    assert min(place) >= 1
