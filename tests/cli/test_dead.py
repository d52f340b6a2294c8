"""`taglane dead`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from factories import HandWorker
from taglane.store import keys
from taglane.store.server import Server

if TYPE_CHECKING:
    from cli.conftest import Cli
    from redis import Redis

FIELDS = "id tenant job task finished_at attempt deaths reason"
ERROR = json.dumps({"e": {"exc_type": "ValueError", "exc_message": ["no"]}, "tb": 'File "a.py"\nValueError: no'})
PARAMS = '{"x": "ä"}'


def give_up(url: str, tenant: str = "acme") -> list[str]:
    """Do a worker's part: try what waits twice, and give it up."""
    server = Server(url)
    worker = HandWorker(server, tenant).hello()
    for run_id, token in worker.fetch():
        envelope = server.redis.hget(keys.run(tenant, run_id), "envelope")
        server.call("renew", tenant, worker.id, 1, 1, run_id, token, 5, "", run_id, token)
        server.call("retry", tenant, run_id, token, "", envelope, ERROR, "a.b", tenant, 0)
    held = worker.fetch()
    for run_id, token in held:
        server.call("finish", tenant, run_id, token, "dead", 5, ERROR, "")
    server.close()
    return [run_id for run_id, _ in held]


@pytest.fixture
def letter(acme: Cli, taglane: Cli) -> str:
    """The one dead letter of acme."""
    acme.ok("enqueue", "a.b", "--params", PARAMS)
    (run_id,) = give_up(taglane.url)
    return run_id


def test_list_has_exactly_these_fields(taglane: Cli, acme: Cli, letter: str) -> None:
    """The last that died is first; filters hold; a tenant sees its own."""
    taglane.ok("enqueue", "a.b", "-t", "other")
    (theirs,) = give_up(taglane.url, "other")

    rows = taglane.ok("dead", "list", "-o", "json").json

    assert [theirs, letter] == [row["id"] for row in rows]
    assert FIELDS.split() == list(rows[0])
    assert ("acme", None, "a.b", 2, 0, "ValueError: no") == tuple(
        rows[1][name] for name in ("tenant", "job", "task", "attempt", "deaths", "reason")
    )
    assert FIELDS.upper().replace("_", " ").split() == acme.ok("dead", "list").out.splitlines()[0].split()
    assert [letter] == [row["id"] for row in acme.ok("dead", "list", "-o", "json").json]
    assert 1 == len(taglane.ok("dead", "list", "--limit", "1", "-o", "json").json)
    assert [] == acme.ok("dead", "list", "--job", "report", "-o", "json").json
    assert "no dead letter\n" == acme.ok("dead", "list", "--job", "report").err


def test_show_says_why(acme: Cli, letter: str) -> None:
    """The reason first, what it was called with, and each attempt with its traceback."""
    shown = acme.ok("dead", "show", letter, "-o", "json").json
    text = acme.ok("dead", "show", letter).out

    assert ("ValueError: no", [], {"x": "ä"}) == (shown["reason"], shown["args"], shown["params"])
    assert [(1, "worker-1", "retry"), (2, "worker-1", "dead")] == [
        (each["attempt"], each["worker"], each["how"]) for each in shown["attempts"]
    ]
    assert ["id:", "reason:"] == [line.split()[0] for line in text.splitlines()[:2]]
    assert 2 == text.count('     File "a.py"\n')
    assert 1 == text.count("  retry: ValueError: no\n")


def test_replay_makes_a_new_run(acme: Cli, letter: str) -> None:
    """Its id is printed; asked again it is the same; both show each other; the letter is off the list."""
    answer = acme.ok("dead", "replay", letter)
    again = acme.ok("dead", "replay", letter, "-o", "json").json

    made = answer.out.strip()
    assert [{"id": made, "of": letter}] == again
    assert [] == acme.ok("dead", "list", "-o", "json").json
    assert letter == acme.ok("run", "show", made, "-o", "json").json["of"]
    assert made == acme.ok("dead", "show", letter, "-o", "json").json["replayed"]
    assert (3, True) == ((dropped := acme("dead", "drop", letter)).code, made in dropped.error)


def test_drop(acme: Cli, letter: str) -> None:
    """It is gone with its run; once more it is not found."""
    assert f"dropped {letter}\n" == acme.ok("dead", "drop", letter).out

    assert (3, 3) == (acme("dead", "drop", letter).code, acme("run", "show", letter).code)


def test_a_letter_whose_run_cannot_be_read_can_be_dropped(acme: Cli, redis: Redis, letter: str) -> None:
    """It is on no list, and is counted all the same: its id is enough."""
    redis.delete(keys.run("acme", letter))
    redis.set(keys.run("acme", letter), "spoiled")

    assert f"dropped {letter}\n" == acme.ok("dead", "drop", letter).out
    assert 0 == redis.zcard(keys.dead("acme"))


@pytest.mark.parametrize(("what", "done"), [("replay", "replayed"), ("drop", "dropped")])
def test_all_at_once(taglane: Cli, acme: Cli, letter: str, what: str, done: str) -> None:
    """Of a tenant or of one of its jobs, when it is said with -y; the count is told."""
    assert letter
    taglane.ok("job", "add", "report", "-t", "acme", "--task", "a.b", "--manual")
    acme.ok("job", "trigger", "report")
    assert 1 == len(give_up(taglane.url))

    unsaid = acme("dead", what, "--all")
    of_job = taglane.ok("dead", what, "--all", "-t", "acme", "--job", "report", "-y", "-o", "json").json
    of_all = acme.ok("dead", what, "--all", "-y").out

    assert (2, True) == (unsaid.code, "say so with -y" in unsaid.err)
    assert {"tenant": "acme", "job": "report", done: 1} == of_job
    assert f"{done} 1 dead letters of acme\n" == of_all
    assert [] == acme.ok("dead", "list", "-o", "json").json


@pytest.mark.parametrize("what", ["replay", "drop"])
def test_which_ones_has_to_be_said(taglane: Cli, acme: Cli, letter: str, what: str) -> None:
    """Ids or all, of one tenant; an id that is none stops it before anything is done."""
    assert 2 == acme("dead", what).code
    assert 2 == acme("dead", what, letter, "--all").code
    assert 2 == acme("dead", what, letter, "--job", "report").code
    assert 2 == taglane("dead", what, "--all", "-y").code
    assert 3 == taglane("dead", what, "--all", "-y", "-t", "nobody").code

    unknown = acme("dead", what, letter, "acme.unknown")

    assert (3, "no dead letter 'acme.unknown' is kept: see  taglane dead list") == (unknown.code, unknown.error)
    assert [letter] == [row["id"] for row in acme.ok("dead", "list", "-o", "json").json]


def test_what_is_no_dead_letter(taglane: Cli, acme: Cli) -> None:
    """3 with the command that shows what it is; 4 for another tenant's."""
    waiting = acme.ok("enqueue", "a.b").out.strip()
    theirs = taglane.ok("enqueue", "a.b", "-t", "other").out.strip()

    for what in ("show", "replay", "drop"):
        answer = acme("dead", what, waiting)
        assert (3, True) == (answer.code, f"see  taglane run show {waiting}" in answer.error)
        assert 4 == acme("dead", what, theirs).code
        assert 3 == taglane("dead", what, "nope").code
