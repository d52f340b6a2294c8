"""`taglane run logs`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from factories import HandWorker
from taglane.store.server import Server

if TYPE_CHECKING:
    from cli.conftest import Cli


@pytest.fixture
def run(acme: Cli, url: str) -> str:
    """A run that has ended, after two attempts."""
    server = Server(url)
    run_id = acme.ok("enqueue", "a.b").out.strip()
    worker = HandWorker(server).hello()
    ((_, token),) = worker.fetch()
    lines = ["3600000\tINFO\tlog\tshop\told\nsecond", "0\t\tstderr\t\t\x1b[31mred"]
    server.call("log", "acme", run_id, token, 1, 1, 7, 100, 10_000, *lines)
    server.call("hand_back", "acme", "", run_id, token)
    ((_, token),) = worker.fetch()
    server.call("log", "acme", run_id, token, 2, 1, 0, 100, 10_000, "0\tWARNING\tlog\tshop\tlast")
    worker.finish([(run_id, token)])
    server.close()
    return run_id


def test_lines_are_told_in_their_order(acme: Cli, run: str) -> None:
    """A time, the level or the stream, the text; nothing of it steers a terminal; what is missing is said on stderr."""
    answer = acme.ok("run", "logs", run)

    lines = answer.out.splitlines()
    assert [line.partition("Z  ")[2] or line for line in lines] == [
        "INFO      shop: old",
        "    second",
        "stderr    \\x1b[31mred",
        "-- attempt 2",
        "WARNING   shop: last",
    ]
    assert lines[0].startswith("20")
    assert answer.err == "note: 7 lines of it are not kept; see TAGLANE_LOG_LINES and TAGLANE_LOG_BYTES\n"


def test_json_is_one_object_a_line(acme: Cli, run: str) -> None:
    """With all that is known of the line."""
    first, second, _ = map(json.loads, acme.ok("run", "logs", run, "-o", "json").out.splitlines())

    assert list(first) == ["id", "at", "attempt", "stream", "level", "logger", "text"]
    assert (first["text"], first["attempt"], second["stream"], second["level"]) == ("old\nsecond", 1, "stderr", "")


def test_less_can_be_asked_for(acme: Cli, run: str) -> None:
    """The last lines, or those that are not too old; what is no time is said."""
    assert acme.ok("run", "logs", run, "-n", "1").out.endswith("shop: last\n")
    for since in ("10m", "2026-01-01T00:00:00Z"):
        kept = acme.ok("run", "logs", run, "--since", since, "-o", "json").out.splitlines()
        assert len(kept) == (2 if since == "10m" else 3)
    refused = acme("run", "logs", run, "--since", "soon")
    assert (refused.code, "neither a duration" in refused.err) == (2, True)


def test_following_ends_with_the_run(acme: Cli, run: str) -> None:
    """Of one that has ended it tells what there is; also after the last lines alone."""
    whole = acme.ok("run", "logs", run).out

    assert acme.ok("run", "logs", run, "-f").out == whole
    assert acme.ok("run", "logs", run, "-f", "-n", "2", "-o", "json").out.count("\n") == 2


def test_a_run_that_is_not_there_is_said(acme: Cli) -> None:
    """As for the other commands."""
    answer = acme("run", "logs", "acme.nothing")

    assert "acme.nothing" in answer.error
    assert answer.code == acme("run", "show", "acme.nothing").code
