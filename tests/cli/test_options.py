"""Texts given to options."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.errors import BadParams
from taglane_cli.options import read_params


@given(st.text())
def test_params_are_an_object_or_refused(text: str) -> None:
    """Whatever is typed, the answer is a dict or one error of ours."""
    try:
        params = read_params(text)
    except BadParams:
        params = {}

    assert isinstance(params, dict)


def test_params_come_through() -> None:
    """As JSON says them; nothing given is None."""
    assert {"a": [1, None, "é"]} == read_params('{"a": [1, null, "é"]}')
    assert None is read_params(None)


def test_a_long_text_is_not_repeated_whole() -> None:
    """In the message."""
    with pytest.raises(BadParams) as caught:
        read_params("[" + "1," * 5_000 + "1]")

    assert len(str(caught.value)) < 200
