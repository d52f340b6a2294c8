"""`taglane job`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from taglane.store import keys

if TYPE_CHECKING:
    from cli.conftest import Cli
    from redis import Redis

ADD = ("job", "add", "report", "--tenant", "acme", "--task", "shop.tasks.report")


def test_add_shows_when_it_fires_next(taglane: Cli, acme: Cli) -> None:
    """Three instants in UTC; whoever has the tenant's own credential needs no --tenant."""
    added = taglane.ok(*ADD, "--cron", "0 9 1 1 *", "--tz", "Europe/Berlin", "-o", "json").json
    listed = acme.ok("job", "list", "-o", "json").json

    assert ("acme", "report", "created", 1) == tuple(added[name] for name in ("tenant", "job", "change", "revision"))
    assert ["-01-01T08:00:00Z"] * 3 == [due[4:] for due in added["next"]]
    assert [added["next"][0]] == [row["next"] for row in listed]
    assert ["cron 0 9 1 1 * (Europe/Berlin)"] == [row["schedule"] for row in listed]


def test_add_again_updates(taglane: Cli, acme: Cli) -> None:
    """The same definition is unchanged, another one is an update."""
    del acme
    taglane.ok(*ADD, "--every", "30s")

    assert "unchanged" == taglane.ok(*ADD, "--every", "30s", "-o", "json").json["change"]
    assert "updated" == taglane.ok(*ADD, "--every", "31s", "-o", "json").json["change"]


def test_add_notes_that_nobody_serves_the_tag(taglane: Cli, acme: Cli) -> None:
    """On stderr, with the command that mends it; the job is there all the same."""
    del acme
    answer = taglane.ok(*ADD, "--after", "5m", "--tag", "acme.io")

    assert "taglane worker --tag acme.io" in answer.err
    assert "tag acme.io" in answer.out


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        (["--cron", "61 * * * *"], 2, "cron field minute: '61'"),
        (["--cron", "* * * * * * *"], 2, "has 7"),
        (["--cron", "0 0 30 2 *"], 2, "never fires"),
        (["--cron", "0 9 * * *", "--tz", "Europe/Berln"], 2, "did you mean 'Europe/Berlin'"),
        (["--every", "5"], 2, "every: '5' is not a duration"),
        (["--every", "5ms"], 2, "every"),
        (["--after", "soon"], 2, "after: 'soon'"),
        (["--at", "tomorrow"], 2, "at: 'tomorrow'"),
        (["--at", "2001-01-01T00:00:00Z"], 2, "lies in the past"),
        ([], 2, "exactly one of cron, every, after, at, manual"),
        (["--manual", "--every", "5s"], 2, "exactly one of"),
        (["--manual", "--params", "[1]"], 2, "params must be a JSON object"),
        (["--manual", "--params", "{1}"], 2, "params are not JSON: Expecting property name"),
        (["--manual", "--params", '{"a": NaN}'], 2, "params.a is nan"),
        (["--manual", "--params", "[" * 100_000], 2, "params are not JSON"),
        (["--manual", "--params", '{"a": "' + "x" * 1_100_000 + '"}'], 2, "the limit is 1048576"),
        (["--manual", "--tag", "other"], 2, "tag 'other' does not belong to tenant 'acme'"),
        (["--manual", "--tag", "acme1"], 2, "does not belong"),
        (["--manual", "--tag", "a b"], 2, "tag 'a b' must be"),
        (["--manual", "--overlap", "perhaps"], 2, "overlap: 'perhaps'"),
        (["--manual", "--expires", "x"], 2, "expires: 'x'"),
        (["--every", "5s", "--misfire", "all"], 2, "misfire: all takes overlap queue or allow"),
        (["--manual", "--misfire", "never"], 2, "misfire: 'never' is not one of"),
        (
            ["--manual", "--no-worker", "somewhere"],
            2,
            "is not one of wait, wait:<duration>, skip, fail, overflow:<tag>",
        ),
        (["--manual", "--no-worker", "overflow:globex"], 2, "no_worker: tag 'globex' does not belong to tenant 'acme'"),
        (["--manual", "--no-worker", "overflow:acme"], 2, "no_worker: overflow:acme names the tag that its runs ask"),
        (["--manual", "--timeout", "5"], 2, "timeout: '5' is not a duration"),
        (["--manual", "--timeout", "5s", "--soft-timeout", "9s"], 2, "soft_timeout 9s must be shorter"),
        (["--manual", "--retry", "many"], 2, "retry: 'many' is no FIELD=VALUE: write it like 5 or attempts=5,"),
        (["--manual", "--retry", "0"], 2, "retry.attempts: 0 is not a whole number"),
        (["--manual", "--retry", "99999999999"], 2, "retry.attempts: 99999999999 is not a whole number from 1"),
        (["--manual", "--retry", "9" * 5_000], 2, "is not a whole number from 1"),
        (["--manual", "--retry", "²"], 2, "is no FIELD=VALUE"),
        (["--manual", "--retry", "attempts=5,delay=x"], 2, "retry.delay: 'x' is not a duration"),
        (["--manual", "--retry", "attempts=5,attempts=6"], 2, "'attempts=6' is there twice"),
        (["--manual", "--retry", "attempts=x"], 2, "retry.attempts: 'x' is not a whole number"),
        (["--manual", "--retry", "atempts=5"], 2, "did you mean 'attempts'"),
        (["--manual", "--retry", "attempts=5,jitter=no"], 2, "retry.jitter: 'no' is neither true nor false"),
        (["--manual", "--retry", "attempts=5,on="], 2, "retry.on: '' is not the name of an exception"),
        (["--manual", "--start", "2030-01-02T00:00:00Z", "--end", "2030-01-01T00:00:00Z"], 2, "must come before"),
        (["--manual", "--tenant", "nobody"], 3, "taglane tenant create nobody"),
        (["--manual", "--tenant", "acm"], 3, "did you mean 'acme'"),
        (["--manual", "--tenant", "{acme}"], 2, "tenant '{acme}' must be"),
        (["--manual", "--task", "no task"], 2, "task 'no task'"),
    ],
)
def test_what_add_refuses(taglane: Cli, acme: Cli, given: list[str], code: int, told: str) -> None:
    """One line that names what is wrong, and no job is made."""
    answer = taglane(*ADD, *given)

    assert code == answer.code
    assert told in answer.error
    assert [] == acme.ok("job", "list", "-o", "json").json


def test_policies(taglane: Cli, acme: Cli) -> None:
    """What is said of overlaps, of missed times, of retries and limits is shown."""
    policy = "attempts=5, delay=10s,on=ConnectionError+shop.Busy,jitter=false"
    limits = ["--timeout", "5m", "--soft-timeout", "4m"]
    taglane.ok(
        *ADD,
        "--every",
        "1h",
        "--overlap",
        "queue",
        "--misfire",
        "all",
        "--retry",
        policy,
        *limits,
        "--no-worker",
        "skip",
    )
    shown = acme.ok("job", "show", "report", "-o", "json").json
    acme.ok("job", "add", "short", "--task", "a.b", "--manual", "--retry", "3")

    assert ("queue", 0, "all", "skip", 300_000, 240_000) == tuple(
        shown[name] for name in ("overlap", "parked", "misfire", "no_worker", "timeout_ms", "soft_timeout_ms")
    )
    assert {"attempts": 5, "delay": "10s", "jitter": False, "on": ["ConnectionError", "shop.Busy"]} == shown["retry"]
    assert {"attempts": 3} == acme.ok("job", "show", "short", "-o", "json").json["retry"]


def test_a_job_of_a_newer_version(taglane: Cli, acme: Cli, redis: Redis) -> None:
    """One line that names it and says so; the others are listed."""
    taglane.ok(*ADD, "--every", "1h")
    acme.ok("job", "add", "plain", "--task", "a.b", "--manual")
    key = keys.job("acme", "report")
    redis.hset(key, "definition", json.dumps({**json.loads(redis.hget(key, "definition") or ""), "quota": 5}))
    before = redis.hgetall(key)

    listed = acme.ok("job", "list", "-o", "json")
    shown = acme("job", "show", "report")
    again = taglane(*ADD, "--every", "2h")

    assert ["plain"] == [row["job"] for row in listed.json]
    for told in (listed.err, shown.error, again.error):
        assert "a newer Taglane wrote job 'report' of tenant 'acme' (the field 'quota' is not known here)" in told
        assert 1 == len(told.splitlines())
    assert (5, 5) == (shown.code, again.code)
    assert before == redis.hgetall(key)


def test_a_bad_name(taglane: Cli, acme: Cli) -> None:
    """Of a job."""
    del acme
    assert "job 'Report' must be" in taglane("job", "add", "Report", "-t", "acme", "--task", "a.b", "--manual").error


def test_another_tenants_jobs_are_out_of_reach(taglane: Cli, acme: Cli) -> None:
    """With a tenant's own credential: refused by the server, whatever --tenant says."""
    taglane.ok("job", "add", "secret", "-t", "other", "--task", "a.b", "--manual")

    for words in (["list"], ["show", "secret"], ["pause", "secret"], ["trigger", "secret"], ["delete", "secret"]):
        assert 4 == acme("job", *words, "-t", "other").code
    assert 4 == acme("job", "add", "x", "-t", "other", "--task", "a.b", "--manual").code
    assert [] == acme.ok("job", "list", "-o", "json").json


def test_next_of_an_expression_asks_no_server(taglane: Cli) -> None:
    """The times are those after --from, across the change of the clock."""
    words = (
        "job",
        "next",
        "--cron",
        "30 2 * * *",
        "--tz",
        "Europe/Berlin",
        "--from",
        "2026-03-28T00:00:00Z",
        "-n",
        "3",
    )

    answer = taglane(*words, "-o", "json", url="redis://127.0.0.1:1/0")

    assert ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"] == answer.json
    assert answer.json == taglane(*words, url="redis://127.0.0.1:1/0").out.split()


def test_next_of_a_job(taglane: Cli, acme: Cli) -> None:
    """As the server holds it; a paused one fires never."""
    added = taglane.ok(*ADD, "--every", "1h", "-o", "json").json

    assert added["next"] == acme.ok("job", "next", "report", "-n", "3", "-o", "json").json
    taglane.ok("job", "pause", "report", "-t", "acme")
    assert [] == acme.ok("job", "next", "report", "-o", "json").json


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Give a job's NAME"),
        (["report", "--cron", "* * * * *"], "Give a job's NAME"),
        (["--cron", "* * * *"], "has 4"),
        (["--cron", "* * * * *", "--tz", "Mars"], "unknown time zone 'Mars'"),
        (["--cron", "* * * * *", "--from", "x"], "'x' is not an instant"),
        (["--cron", "* * * * *", "-n", "0"], "range"),
    ],
)
def test_what_next_refuses(taglane: Cli, words: list[str], told: str) -> None:
    """Usage errors are 2."""
    answer = taglane("job", "next", *words)

    assert (2, "") == (answer.code, answer.out)
    assert told in answer.err


def test_pause_resume_trigger_delete(taglane: Cli, acme: Cli) -> None:
    """The life of a job."""
    taglane.ok(*ADD, "--every", "1h", "--params", '{"region": "eu"}')

    assert acme.ok("job", "pause", "report", "-o", "json").json["paused"]
    run = acme.ok("job", "trigger", "report", "--params", '{"region": "us"}').out.strip()
    assert not acme.ok("job", "resume", "report", "-o", "json").json["paused"]
    shown = acme.ok("job", "show", "report", "-o", "json").json
    acme.ok("job", "delete", "report")

    assert (run, {"region": "eu"}) == (shown["last_run"], shown["params"])
    assert ["report"] == [row["job"] for row in acme.ok("run", "list", "-o", "json").json]
    for words in (["show"], ["pause"], ["resume"], ["trigger"], ["delete"], ["next"]):
        missing = acme("job", *words, "report")
        assert (3, True) == (missing.code, "has no job 'report'" in missing.error)


def test_the_operator_says_which_tenant(taglane: Cli) -> None:
    """Without --tenant there is none to guess."""
    answer = taglane("job", "show", "report")

    assert 2 == answer.code
    assert "--tenant" in answer.err
