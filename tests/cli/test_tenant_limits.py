"""`taglane tenant limit`, `pause`, `drain`, `resume`, `purge`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from factories import HandWorker, make_server
from taglane.model.limits import FIELDS
from taglane.store import keys

if TYPE_CHECKING:
    from cli.conftest import Cli


def test_limits_are_shown_and_changed_one_by_one(taglane: Cli, acme: Cli) -> None:
    """What is not named stays; `none` takes one away; a tenant sees its own."""
    before = taglane.ok("tenant", "limit", "acme", "-o", "json").json
    taglane.ok("tenant", "limit", "acme", "running=4", "rate=90/m", "queued=100")
    after = taglane.ok("tenant", "limit", "acme", "queued=none", "-o", "json").json

    assert ["tenant", "state", *FIELDS] == list(before)
    assert {None} == {before[field] for field in FIELDS}
    assert (4, "90/m", None, "active") == (after["running"], after["rate"], after["queued"], after["state"])
    assert after == acme.ok("tenant", "limit", "acme", "-o", "json").json


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("running=0", "limits.running: '0' can't be"),
        ("weight=heavy", "limits.weight: 'heavy' can't be"),
        ("runing=3", "did you mean 'running'"),
        ("rate=-1/s", "write it like 10/s"),
    ],
)
def test_a_limit_that_cant_be_changes_nothing(taglane: Cli, acme: Cli, change: str, told: str) -> None:
    """Not the good one beside it either; the error names the field and the value."""
    answer = taglane("tenant", "limit", "acme", "queued=9", change)

    assert 2 == answer.code
    assert told in answer.error
    assert acme.ok("tenant", "limit", "acme", "-o", "json").json["queued"] is None


def test_a_change_that_is_none_is_a_usage_error(taglane: Cli, acme: Cli) -> None:
    """It says what one looks like."""
    assert acme.url
    for wrong in ("running", "=3"):
        answer = taglane("tenant", "limit", "acme", wrong)
        assert (2, True) == (answer.code, "running=4" in answer.err)
    assert "twice" in taglane("tenant", "limit", "acme", "running=1", "running=2").err


def test_a_tenant_changes_nothing_of_its_own(taglane: Cli, acme: Cli) -> None:
    """Neither its limits nor its state, and no other tenant's."""
    assert taglane.url
    for command in (("limit", "acme", "running=9"), ("pause", "acme"), ("drain", "acme"), ("resume", "acme")):
        answer = acme("tenant", *command)
        assert (4, True) == (answer.code, "operator's credential" in answer.error), command
    assert 4 == acme("tenant", "limit", "other").code


def test_pause_drain_and_resume_say_what_there_is_to_do(taglane: Cli, acme: Cli) -> None:
    """And a full or draining tenant's caller gets exit code 6, with what to do."""
    acme.ok("enqueue", "a.b")

    paused = taglane.ok("tenant", "pause", "acme", "-o", "json").json
    assert {"tenant": "acme", "state": "paused", "waiting": 1, "held": 0} == paused
    acme.ok("enqueue", "a.b")
    drained = taglane.ok("tenant", "drain", "acme", "-o", "json").json
    assert {"tenant": "acme", "state": "draining", "waiting": 2, "held": 0} == drained
    listed = {each["tenant"]: each["state"] for each in taglane.ok("tenant", "list", "-o", "json").json}
    assert "draining" == listed["acme"]
    assert "draining" == taglane.ok("tenant", "show", "acme", "-o", "json").json["state"]
    refused = acme("enqueue", "a.b")
    assert (6, True) == (refused.code, "taglane tenant resume acme" in refused.error)

    assert "active" == taglane.ok("tenant", "resume", "acme", "-o", "json").json["state"]
    taglane.ok("tenant", "limit", "acme", "queued=2")
    full = acme("enqueue", "a.b")
    assert (6, True) == (full.code, "are full, 2 of 2 runs wait: come back in" in full.error)


def test_drain_waits_for_the_end(taglane: Cli, acme: Cli) -> None:
    """It returns when nothing waits and nothing is executed."""
    assert acme.url
    server = make_server(taglane.url)
    worker = HandWorker(server).hello()

    answer = taglane.ok("tenant", "drain", "acme", "--wait", "-o", "json").json

    assert (0, 0) == (answer["waiting"], answer["held"])
    assert [] == worker.fetch()
    server.close()


def test_drain_says_what_it_waits_for(taglane: Cli, acme: Cli) -> None:
    """When nobody serves what waits, it would wait for ever, and nobody would know why."""
    acme.ok("enqueue", "a.b", "--tag", "acme.gpu")
    server = make_server(taglane.url)

    def serve() -> None:
        worker = HandWorker(server).hello()
        server.call("cancel", "acme", server.redis.lrange(keys.queue("acme", "acme.gpu", 0), 0, -1)[0], "enough")
        worker.fetch()

    timer = threading.Timer(0.2, serve)
    timer.start()
    answer = taglane.ok("tenant", "drain", "acme", "--wait")
    timer.join()

    assert "start one:  taglane worker --tag acme.gpu" in answer.err
    server.close()


def test_purge_ends_all_that_waits(taglane: Cli, acme: Cli) -> None:
    """Of every tag, and what is delayed; it asks first, and another tenant's stays."""
    acme.ok("enqueue", "a.b")
    acme.ok("enqueue", "a.b", "--tag", "acme.gpu", "--delay", "1h")
    taglane.ok("enqueue", "a.b", "-t", "other")

    assert 2 == taglane("tenant", "purge", "acme").code
    answer = taglane.ok("tenant", "purge", "acme", "-y", "-o", "json").json

    assert {"tenant": "acme", "purged": 2} == answer
    states = {row["tenant"]: row["state"] for row in taglane.ok("run", "list", "-o", "json").json}
    assert {"acme": "cancelled", "other": "queued"} == states


def test_a_tenant_that_is_not_there_is_not_found(taglane: Cli, acme: Cli) -> None:
    """3, with the one that was perhaps meant."""
    assert acme.url
    for command in (("limit", "acm"), ("pause", "acm"), ("resume", "acm"), ("drain", "acm"), ("purge", "acm", "-y")):
        answer = taglane("tenant", *command)
        assert (3, True) == (answer.code, "did you mean 'acme'" in answer.error)
