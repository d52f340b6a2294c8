"""`taglane enqueue`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from taglane.store.server import Server

if TYPE_CHECKING:
    from cli.conftest import Cli


def test_it_prints_the_runs_id_and_nothing_else(taglane: Cli, acme: Cli) -> None:
    """So that a script can take it; that nobody serves the tag goes to stderr."""
    answer = taglane.ok("enqueue", "shop.tasks.report", "--tenant", "acme", "--params", '{"n": 1}')

    assert acme.ok("run", "show", answer.out.strip(), "-o", "json").json["task"] == "shop.tasks.report"
    assert 1 == len(answer.out.splitlines())
    assert "taglane worker --tag acme" in answer.err


def test_a_key_makes_one_run(acme: Cli) -> None:
    """Asked again, it answers with the run that is there."""
    first, again = (acme.ok("enqueue", "a.b", "--key", "k", "-o", "json").json for _ in range(2))

    assert (first["id"], True, False) == (again["id"], first["created"], again["created"])


def test_a_delay_and_a_tag(acme: Cli) -> None:
    """Both are the run's."""
    run_id = acme.ok("enqueue", "a.b", "--delay", "5m", "--tag", "acme.io").out.strip()

    shown = acme.ok("run", "show", run_id, "-o", "json").json

    assert ("scheduled", "acme.io") == (shown["state"], shown["tag"])


def test_wait_answers_with_the_end(taglane: Cli, acme: Cli, url: str) -> None:
    """The run as it ended, and its exit code."""
    server = Server(url)
    server.call("hello", "acme", "w", "info", "{}", "tags", "acme", "tasks", "[]")
    sequence = count(1)

    def fetch() -> list[bytes]:
        runs: list[list[bytes]] = server.call("fetch", "acme", "w", next(sequence), 1, "1", "acme")[2]
        return runs[0] if runs else []

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(taglane, "enqueue", "a.b", "-t", "acme", "--wait", "-o", "json")
        run_id, token, *_ = eventually(fetch)
        server.call("finish", "acme", run_id, token, "succeeded", 5, '{"r": 7}', "")
        answer = waiting.result(10)
    server.close()

    assert (0, "", 7) == (answer.code, answer.err, answer.json["result"])
    assert 75 == acme("enqueue", "a.b", "--wait", "--timeout", "0.1").code


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        (["a b"], 2, "task 'a b'"),
        (["a.b", "--params", "5"], 2, "params must be a JSON object"),
        (["a.b", "--params", "'"], 2, "params are not JSON"),
        (["a.b", "--params", '{"a": "' + "x" * 1_100_000 + '"}'], 2, "over the limit of 1048576"),
        (["a.b", "--tag", "other"], 2, "does not belong to tenant 'acme'"),
        (["a.b", "--tag", "shared"], 2, "shared.<pool>"),
        (["a.b", "--delay", "-5"], 2, "delay: '-5' is not a duration"),
        (["a.b", "--tenant", "nobody"], 3, "taglane tenant create nobody"),
        (["a.b", "--tenant", "Acme"], 2, "tenant 'Acme' must be"),
    ],
)
def test_what_it_refuses(taglane: Cli, acme: Cli, given: list[str], code: int, told: str) -> None:
    """One line that names what is wrong, and no run is made."""
    answer = taglane("enqueue", "--tenant", "acme", *given)

    assert code == answer.code
    assert told in answer.error
    assert [] == acme.ok("run", "list", "-o", "json").json


def test_another_tenants_run_is_refused(acme: Cli, taglane: Cli) -> None:
    """By the server, with the tenant's own credential."""
    assert 4 == acme("enqueue", "a.b", "--tenant", "other").code
    assert [] == taglane.ok("run", "list", "-o", "json").json
