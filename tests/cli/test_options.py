"""Texts given to options."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.errors import BadParams
from taglane_cli.options import make_sure, read_params


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


def test_what_was_said_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """-y says it; where nobody is there to ask, it has to be."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    make_sure("this drops all", yes=True)

    with pytest.raises(click.UsageError, match="this drops all: say so with -y"):
        make_sure("this drops all", yes=False)


@pytest.mark.parametrize(("typed", "went_on"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
def test_on_a_terminal_it_is_asked(typed: bytes, went_on: bool) -> None:
    """Anything but a yes ends the command; the question goes to stderr."""
    ours, theirs = pty.openpty()
    os.write(ours, typed)
    code = "from taglane_cli.options import make_sure; make_sure('this drops all', yes=False); print('went on')"

    done = subprocess.run([sys.executable, "-c", code], stdin=theirs, capture_output=True, text=True, check=False)

    os.close(ours)
    os.close(theirs)
    assert went_on == (done.returncode == 0) == ("went on" in done.stdout)
    assert "This drops all. Go on?" in done.stderr
