"""Params: JSON objects, as they come back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.errors import BadParams
from taglane.model.params import check_params

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=3))
def test_what_is_json_is_as_json_gives_it_back(params: dict[str, Any]) -> None:
    """Neither a value nor a type differs."""
    assert json.loads(json.dumps(params)) == check_params(params)


def test_a_tuple_is_a_list() -> None:
    """As it is once it has been sent."""
    assert {"ids": [1, [2]]} == check_params({"ids": (1, (2,))})


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ([1], "params must be a JSON object, not [1]"),
        ({"a": [{1: 2}]}, "params.a[0] has the key 1: a key is a text"),
        ({"a": {"b": float("inf")}}, "params.a.b is inf, which JSON does not have: write it as a text"),
        ({"a": b"x"}, "params.a is b'x', which JSON does not have: write it as a text"),
        ({"a": "\ud800"}, "params.a is '\\ud800', which is no Unicode text"),
    ],
)
def test_refusals(params: Any, text: str) -> None:
    """A sentence that names the place and the value."""
    with pytest.raises(BadParams) as caught:
        check_params(params)

    assert text == str(caught.value)


def test_what_is_nested_endlessly_is_refused() -> None:
    """An error of the caller, not a crash."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}

    with pytest.raises(BadParams, match="nested more than 64 deep"):
        check_params(deep)
