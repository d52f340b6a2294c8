"""`taglane run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.store.server import Server

if TYPE_CHECKING:
    from cli.conftest import Cli

FIELDS = "id tenant job task tag state due queued_at started_at finished_at worker attempt result error"


def end(server: Server, worker: str, state: str, outcome: str) -> None:
    """Do a worker's part: fetch the one run that waits for acme, and end it."""
    server.call("hello", "acme", worker, "info", "{}", "tags", "acme", "tasks", "[]")
    ((run_id, token, *_),) = server.call("fetch", "acme", worker, 1, 1, "1", "acme")[2]
    assert [1] == server.call("finish", "acme", run_id, token, state, 5, outcome, "")


def test_list_has_exactly_these_fields(taglane: Cli, acme: Cli) -> None:
    """Times are ISO 8601 in UTC or null; the newest is first; filters hold."""
    first = acme.ok("enqueue", "a.first").out.strip()
    second = taglane.ok("enqueue", "a.second", "-t", "acme").out.strip()
    taglane.ok("enqueue", "a.b", "-t", "other")

    rows = taglane.ok("run", "list", "--tenant", "acme", "-o", "json").json

    assert [second, first] == [row["id"] for row in rows]
    assert FIELDS.split() == list(rows[0])
    assert rows[0]["queued_at"].endswith("Z")
    assert None is rows[0]["started_at"]
    assert 3 == len(taglane.ok("run", "list", "-o", "json").json)
    assert 1 == len(taglane.ok("run", "list", "--limit", "1", "-o", "json").json)
    assert [] == acme.ok("run", "list", "--state", "failed", "-o", "json").json
    assert [] == acme.ok("run", "list", "--job", "report", "-o", "json").json


def test_wait_tells_how_it_ended(taglane: Cli, acme: Cli, url: str) -> None:
    """0 and the result for one that succeeded, 1 and the error for one that failed."""
    server = Server(url)
    good = acme.ok("enqueue", "a.b").out.strip()
    end(server, "w1", "succeeded", '{"r": {"n": 1}}')
    bad = acme.ok("enqueue", "a.b").out.strip()
    end(server, "w2", "failed", '{"e": {"exc_type": "ValueError", "exc_message": ["no"]}}')
    server.close()

    succeeded = taglane("run", "wait", good, "-o", "json")
    failed = taglane("run", "wait", bad, "-o", "json")

    assert (0, {"n": 1}, "") == (succeeded.code, succeeded.json["result"], succeeded.err)
    assert (1, "ValueError: no") == (failed.code, failed.json["error"])
    assert f"error: run {bad} failed: ValueError: no\n" == failed.err
    assert 0 == taglane("run", "show", bad).code


def test_wait_gives_up_in_time(acme: Cli) -> None:
    """75 when the run still goes on, which it does."""
    run_id = acme.ok("enqueue", "a.b").out.strip()

    answer = acme("run", "wait", run_id, "--timeout", "0.1")

    assert 75 == answer.code
    assert "is still queued" in answer.error
    assert "queued" == acme.ok("run", "show", run_id, "-o", "json").json["state"]


def test_cancel(acme: Cli) -> None:
    """A run that waits ends at once; once more, it had ended."""
    run_id = acme.ok("enqueue", "a.b").out.strip()

    assert "cancelled" == acme.ok("run", "cancel", run_id, "-o", "json").json["cancel"]
    assert "had ended already" in acme.ok("run", "cancel", run_id).out
    assert 1 == acme("run", "wait", run_id).code


def test_what_is_missing_refused_or_misspelled(taglane: Cli, acme: Cli) -> None:
    """3, 4 and 2."""
    theirs = taglane.ok("enqueue", "a.b", "-t", "other").out.strip()

    assert 3 == acme("run", "show", "acme.nope").code
    assert 3 == taglane("run", "wait", "nope").code
    assert 3 == acme("run", "cancel", "acme.nope").code
    assert 4 == acme("run", "show", theirs).code
    assert 4 == acme("run", "wait", theirs).code
    assert 4 == acme("run", "cancel", theirs).code
    assert 2 == taglane("run", "show", "{acme}").code
    assert 2 == taglane("run", "list", "--state", "pending").code
    assert 3 == taglane("run", "list", "--tenant", "nobody").code
