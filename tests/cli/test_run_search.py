"""`taglane run` with a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import HandWorker
from taglane.store.server import Server

if TYPE_CHECKING:
    from cli.conftest import Cli


def fail(url: str, count: int) -> None:
    server = Server(url)
    worker = HandWorker(server).hello()
    worker.finish(worker.fetch(count), "failed")
    server.close()


def test_list_takes_a_query(taglane: Cli, acme: Cli, url: str) -> None:
    """As one text or as words; beside the options; of all tenants, or of one's own."""
    ids = [acme.ok("enqueue", "a.b").out.strip() for _ in range(3)]
    taglane.ok("enqueue", "a.b", "-t", "other")
    fail(url, 2)

    def listed(*args: str, cli: Cli = taglane) -> list[str]:
        return [row["id"] for row in cli.ok("run", "list", *args, "-o", "json").json]

    assert ids[:2] == sorted(listed("state:failed tenant:acme"))
    assert ids[:2] == sorted(listed("state:unwell", "task:a.*"))
    assert [ids[2]] == listed("state:open", "--tenant", "acme")
    assert [ids[2]] == listed("state:queued", cli=acme)
    assert 2 == len(listed("--limit", "2"))
    assert [] == listed("since:2030-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("args", "code", "why"),
    [
        (["stat:x"], 2, "at character 1: there is no field 'stat': did you mean 'state'?"),
        (["tenant:nobody"], 3, "no tenant 'nobody'"),
        (["state:failed", "--state", "failed"], 2, "say it once"),
        (["--watch", "-o", "json"], 2, "--watch goes with text"),
    ],
)
def test_what_says_nothing(taglane: Cli, args: list[str], code: int, why: str) -> None:
    answer = taglane("run", "list", *args)

    assert code == answer.code
    assert why in answer.err


def test_cancel_all_that_match(taglane: Cli, acme: Cli) -> None:
    """It asks first; says how many; and notes it."""
    for _ in range(3):
        acme.ok("enqueue", "a.b")
    taglane.ok("enqueue", "a.b", "-t", "other")

    asked = taglane("run", "cancel", "--matching", "tenant:acme")
    done = taglane.ok("run", "cancel", "--matching", "tenant:acme", "-y")

    assert 2 == asked.code
    assert "this cancels 3 runs that match tenant:acme: say so with -y" in asked.err
    assert "cancelled: 3 runs\n" == done.out
    assert "cancelled: 0 runs\n" == taglane.ok("run", "cancel", "--matching", "tenant:acme", "-y").out
    (entry,) = [each for each in taglane.ok("audit", "-o", "json").json if each["action"] == "cancel_all"]
    assert ("acme", {"query": "tenant:acme", "runs": "3"}) == (
        entry["tenant"],
        {k: str(v) for k, v in entry["details"].items()},
    )


def test_retry_all_that_match(taglane: Cli, acme: Cli, url: str) -> None:
    """So many at once; said again it goes on, and makes none twice."""
    for _ in range(5):
        acme.ok("enqueue", "a.b")
    fail(url, 5)

    first = acme.ok("run", "retry", "--matching", "state:failed", "--most", "2", "-y")
    then = acme.ok("run", "retry", "--matching", "state:failed", "-y", "-o", "json").json
    last = acme.ok("run", "retry", "--matching", "state:failed", "-y")

    assert ("made anew: 2 runs\n", "note: there may be more: say it again\n") == (first.out, first.err)
    assert (3, 2, False) == (then["done"], then["skipped"], then["more"])
    assert "made anew: 0 runs, skipped 5\n" == last.out
    assert 5 == len(taglane.ok("run", "list", "state:queued", "-o", "json").json)


def test_what_fails_for_some_is_said(taglane: Cli, acme: Cli, url: str) -> None:
    """Exit code 1, and why."""
    for _ in range(2):
        acme.ok("enqueue", "a.b")
    fail(url, 2)
    taglane.ok("tenant", "drain", "acme")

    answer = acme("run", "retry", "--matching", "state:failed", "-y")

    assert (1, "made anew: 0 runs, failed 2\n") == (answer.code, answer.out)
    assert "note: the last that failed: " in answer.err


@pytest.mark.parametrize("command", ["cancel", "retry"])
def test_one_run_or_many(acme: Cli, command: str) -> None:
    both = acme("run", command, "acme.1", "--matching", "state:failed", "-y")
    none = acme("run", command)

    assert (2, 2) == (both.code, none.code)
    assert "not both" in both.err
    assert "say --matching QUERY" in none.err
