"""`taglane run`."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from factories import HandWorker, make_job, server_time, set_due
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.server import Server
from taglane_scheduler.firing.firing import Firing

if TYPE_CHECKING:
    from cli.conftest import Cli
    from redis import Redis

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


def test_cancel_of_a_run_that_waits(acme: Cli) -> None:
    """It ends at once; once more, it had ended."""
    run_id, other = (acme.ok("enqueue", "a.b").out.strip() for _ in range(2))

    assert {"id": run_id, "cancel": "cancelled", "state": "cancelled"} == acme.ok(
        "run", "cancel", run_id, "-o", "json"
    ).json
    assert f"run {other} cancelled before start\n" == acme.ok("run", "cancel", other).out
    assert f"run {run_id} had ended already: cancelled\n" == acme.ok("run", "cancel", run_id).out
    assert "ended" == acme.ok("run", "cancel", run_id, "-o", "json").json["cancel"]
    assert 1 == acme("run", "wait", run_id).code
    shown = acme.ok("run", "show", run_id, "-o", "json").json
    assert "cancelled before start: by taglane run cancel" == shown["error"]


REVOKED = '{"e": {"exc_type": "TaskRevokedError", "exc_message": ["terminated"]}}'


@pytest.mark.parametrize(
    ("state", "ran", "outcome", "came", "words"),
    [
        ("cancelled", 5, REVOKED, "terminated", "terminated"),
        ("cancelled", "", "", "cancelled", "cancelled before start"),
        ("succeeded", 5, "", "ended", "ended before it could be stopped: succeeded"),
    ],
)
@pytest.mark.parametrize("output", ["text", "json"])
def test_cancel_says_what_its_worker_did(
    acme: Cli, redis: Redis, output: str, state: str, ran: int | str, outcome: str, came: str, words: str
) -> None:
    """The command waits for it, and wakes when it is known."""
    run_id = acme.ok("enqueue", "a.b").out.strip()
    server = Server(acme.url)
    worker = HandWorker(server).hello()
    ((_, token),) = worker.fetch()

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(end_when_asked, server, redis, run_id, token, (state, ran, outcome))
        answer = acme.ok("run", "cancel", run_id, "--timeout", "30", "-o", output)
        ended.result()
    server.close()

    if output == "json":
        assert {"id": run_id, "cancel": came, "state": state} == answer.json
    else:
        assert f"run {run_id} {words}\n" == answer.out


def end_when_asked(server: Server, redis: Redis, run_id: str, token: int, end: tuple[str, int | str, str]) -> None:
    """Do the part of a worker that is asked to stop a run."""
    eventually(lambda: redis.sismember(keys.cancels("acme", "worker-1"), run_id))
    state, ran, outcome = end
    assert [1] == server.call("finish", "acme", run_id, token, state, ran, outcome, "")


def test_cancel_of_a_run_that_goes_on(acme: Cli) -> None:
    """Whoever asked learns that it was asked, and where to look; at once when he does not wait."""
    run_id = acme.ok("enqueue", "a.b").out.strip()
    server = Server(acme.url)
    HandWorker(server).hello().fetch()
    server.close()

    for how in (["--no-wait"], ["--timeout", "0.05"]):
        answer = acme.ok("run", "cancel", run_id, *how)
        assert f"run {run_id} asked to stop\n" == answer.out
        assert f"taglane run show {run_id}" in answer.err
    assert {"id": run_id, "cancel": "asked", "state": "queued"} == acme.ok(
        "run", "cancel", run_id, "--no-wait", "-o", "json"
    ).json


def test_show_tells_who_asked_a_run_to_stop(acme: Cli) -> None:
    """Until then nobody has."""
    run_id = acme.ok("enqueue", "a.b").out.strip()
    server = Server(acme.url)
    HandWorker(server).hello().fetch()
    server.close()
    before = acme.ok("run", "show", run_id, "-o", "json").json

    acme.ok("run", "cancel", run_id, "--no-wait")

    assert before["asked_to_stop"] is None
    assert "by taglane run cancel" == acme.ok("run", "show", run_id, "-o", "json").json["asked_to_stop"]
    assert re.search(r"^asked to stop: +by taglane run cancel$", acme.ok("run", "show", run_id).out, re.MULTILINE)


def test_show_tells_of_a_run_that_is_parked(acme: Cli, url: str, redis: Redis) -> None:
    """It is scheduled, and waits for the run of its job before it."""
    server = Server(url)
    job = make_job(every="1h", overlap="queue")
    Jobs(server, 1_000_000).put(job)
    firing = Firing(server)
    for late in (7_200_000, 3_600_000):
        set_due(redis, job, server_time(redis) - late)
        firing.step(["acme"])
    server.close()
    parked, first = acme.ok("run", "list", "-o", "json").json

    shown = [acme.ok("run", "show", row["id"], "-o", "json").json for row in (first, parked)]

    assert ["queued", "scheduled"] == [first["state"], parked["state"]]
    assert [False, True] == [run["parked"] for run in shown]
    assert re.search(r"^parked: +yes$", acme.ok("run", "show", parked["id"]).out, re.MULTILINE)


def test_retry_makes_a_new_run(acme: Cli) -> None:
    """Of one that ended without success; its id is printed, and each names the other."""
    run_id = acme.ok("enqueue", "a.b").out.strip()
    early = acme("run", "retry", run_id)
    acme.ok("run", "cancel", run_id)

    first = acme.ok("run", "retry", run_id)
    second = acme.ok("run", "retry", run_id, "-o", "json").json

    assert (5, True) == (early.code, f"taglane run wait {run_id}" in early.error)
    assert run_id == second["of"] == acme.ok("run", "show", first.out.strip(), "-o", "json").json["of"]
    assert second["id"] == acme.ok("run", "show", run_id, "-o", "json").json["replayed"] != first.out.strip()
    assert "taglane worker --tag acme" in first.err


def test_show_tells_of_each_attempt(acme: Cli, taglane: Cli) -> None:
    """A killed worker is named, and so is the one that took the run over."""
    run_id = acme.ok("enqueue", "a.b").out.strip()
    server = Server(taglane.url)
    ((_, token),) = HandWorker(server, id="w1").hello().fetch()
    server.call("renew", "acme", "w1", 1, 1, run_id, token, 5, "", run_id, token)
    server.call("rescue", "acme", "w1", 1)
    end(server, "w2", "failed", '{"e": {"exc_type": "ValueError", "exc_message": ["no"]}, "tb": "Traceback"}')
    server.close()

    first, second = acme.ok("run", "show", run_id, "-o", "json").json["attempts"]
    text = acme.ok("run", "show", run_id).out

    assert {"attempt": 1, "worker": "w1", "how": "died", "error": "its worker died", "traceback": None} == {
        name: value for name, value in first.items() if not name.endswith("_at")
    }
    assert {"attempt": 2, "worker": "w2", "how": "failed", "error": "ValueError: no", "traceback": "Traceback"} == {
        name: value for name, value in second.items() if not name.endswith("_at")
    }
    told = [line.split() for line in text.splitlines() if line.startswith(("  1  w1  ", "  2  w2  "))]
    assert [first["started_at"], second["started_at"]] == [words[2] for words in told]
    assert [first["ended_at"], second["ended_at"]] == [words[4] for words in told]
    assert [["died:", "its", "worker", "died"], ["failed:", "ValueError:", "no"]] == [words[5:] for words in told]


def test_what_is_missing_refused_or_misspelled(taglane: Cli, acme: Cli) -> None:
    """3, 4 and 2."""
    theirs = taglane.ok("enqueue", "a.b", "-t", "other").out.strip()

    assert 3 == acme("run", "show", "acme.nope").code
    assert 3 == taglane("run", "wait", "nope").code
    assert 3 == acme("run", "cancel", "acme.nope").code
    assert 3 == acme("run", "retry", "acme.nope").code
    assert 4 == acme("run", "show", theirs).code
    assert 4 == acme("run", "wait", theirs).code
    assert 4 == acme("run", "cancel", theirs).code
    assert 4 == acme("run", "retry", theirs).code
    assert 2 == taglane("run", "show", "{acme}").code
    assert 2 == taglane("run", "list", "--state", "pending").code
    assert 3 == taglane("run", "list", "--tenant", "nobody").code
