"""Tables on a terminal, aligned text in a pipe, JSON on demand."""

from __future__ import annotations

import io
import json
import sys
import time
from typing import Any

import pytest
from taglane_cli.render import Instant, cell, show_list, show_one

ROWS: list[dict[str, Any]] = [
    {"name": "a", "made": Instant(1_763_802_000_000), "tags": ["x", "y"], "result": {"n": 1}},
    {"name": "longer", "made": None, "tags": [], "result": None},
]


class Terminal(io.StringIO):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_in_a_pipe_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Times are ISO 8601 in UTC, what is missing is a dash."""
    show_list(ROWS, ["name", "made", "tags"], "text", empty="none")

    assert [
        "NAME    MADE                  TAGS",
        "a       2025-11-22T09:00:00Z  x y",
        "longer  -                     -",
    ] == capsys.readouterr().out.splitlines()


def test_json_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A list with all the fields; an empty one too."""
    show_list(ROWS, ["name"], "json", empty="none")
    assert {"name": "a", "made": "2025-11-22T09:00:00Z", "tags": ["x", "y"], "result": {"n": 1}} == json.loads(
        capsys.readouterr().out
    )[0]

    show_list([], ["name"], "json", empty="none")
    assert ("[]\n", "") == tuple(capsys.readouterr())


def test_no_row_is_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """So that a pipe gets nothing."""
    show_list([], ["name"], "text", empty="none yet")

    assert ("", "none yet\n") == tuple(capsys.readouterr())


def test_one_thing_is_a_line_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    """Whole: nothing is cut."""
    show_one({"id": "x" * 100, "last_run": None}, "text")

    assert f"id:        {'x' * 100}\nlast run:  -\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("after", "expected"),
    [(0, "now"), (-5, "5s ago"), (90, "in 90s"), (-600, "10m ago"), (7_300, "in 2h"), (-400_000, "4d ago")],
)
def test_on_a_terminal_times_are_relative(monkeypatch: pytest.MonkeyPatch, after: int, expected: str) -> None:
    """And in a table of rich."""
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(time, "time", lambda: 1_763_802_000.0)

    assert expected == cell(Instant(1_763_802_000_000 + after * 1_000))


def test_a_text_of_many_lines_keeps_them(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback, indented below its name."""
    show_one({"id": "a", "traceback": "one\n  two\x1b[2J\n"}, "text")

    assert "id:         a\ntraceback:\n  one\n    two\\x1b[2J\n" == capsys.readouterr().out


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    """Half a surrogate pair and a control character come through any terminal."""
    show_one({"result": "\ud800\x9b2Jé"}, "json")

    assert capsys.readouterr().out.isascii()


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets are text, not markup."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")

    show_list([{"name": "[red]a", "state": "failed"}], ["name", "state"], "text", empty="none")

    assert "[red]a" in terminal.getvalue()


def test_what_a_task_says_can_not_steer_the_terminal() -> None:
    """Control characters are spelled out."""
    assert "\\x1b[2Jboom\\n" == cell("\x1b[2Jboom\n")
    assert ("yes", "no", "-", "é") == (cell(True), cell(False), cell(None), cell("é"))
