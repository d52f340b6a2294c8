"""The bar of a long command."""

from __future__ import annotations

import io
import sys

import pytest
from taglane_cli.progress import LONG, progress


class Terminal(io.StringIO):
    """What stderr is where somebody looks at it."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    with progress("applying", LONG) as told:
        assert told
        told(LONG)

    assert "applying" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


@pytest.mark.parametrize(("stream", "length"), [(Terminal(), LONG - 1), (io.StringIO(), LONG)])
def test_a_pipe_and_a_short_command_show_nothing(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, length: int
) -> None:
    """And have nobody to tell."""
    monkeypatch.setattr(sys, "stderr", stream)

    with progress("applying", length) as told:
        assert told is None

    assert "" == stream.getvalue()
