"""A tenant's past, page by page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from factories import TENANT, HandWorker, enqueue, make_server, run_ids, server_time
from taglane.errors import Refused
from taglane.store import history, keys
from taglane.store.history import History

if TYPE_CHECKING:
    from redis import Redis
    from taglane.store.server import Server


@pytest.fixture
def server(url: str) -> Server:
    return make_server(url)


@pytest.fixture
def past(server: Server, monkeypatch: pytest.MonkeyPatch) -> History:
    """With pages of three runs."""
    monkeypatch.setattr(history, "PAGE", 3)
    return History(server)


def test_runs_are_told_whole_and_the_oldest_first(server: Server, past: History, redis: Redis) -> None:
    """With results and attempts, of those that have ended and of those that go on."""
    worker = HandWorker(server).hello()
    first = enqueue(server)
    worker.finish(worker.fetch())
    others = [enqueue(server) for _ in range(7)]
    redis.zadd(keys.runs(TENANT), {run_id: number for number, run_id in enumerate([first, *others])})

    told = list(past.runs(TENANT))

    assert [first, *others] == [run.id for run in told]
    assert (1, ["succeeded"]) == (told[0].result, [each.how for each in told[0].attempts])
    assert {"queued"} == {run.state for run in told[1:]}


@pytest.mark.parametrize("instants", [[5] * 10, [1, 2, 2, 2, 2, 2, 3, 3, 3, 4]])
def test_runs_of_one_instant_are_told_once(server: Server, past: History, redis: Redis, instants: list[int]) -> None:
    """However many pages they fill."""
    made = [enqueue(server) for _ in instants]
    redis.zadd(keys.runs(TENANT), dict(zip(made, instants, strict=True)))

    assert sorted(made) == sorted(run.id for run in past.runs(TENANT))


def test_what_changes_meanwhile_hides_nothing(server: Server, past: History, redis: Redis) -> None:
    """Trimmed at its old end and grown at its new one between two pages, the rest of the history is told once."""
    made = [enqueue(server) for _ in range(9)]
    redis.zadd(keys.runs(TENANT), {run_id: number // 2 for number, run_id in enumerate(made)})
    pages = past.runs(TENANT)
    told = [next(pages).id for _ in range(3)]

    redis.zrem(keys.runs(TENANT), *made[:2])
    redis.delete(*(keys.run(TENANT, run_id) for run_id in made[:2]))
    told += [run.id for run in pages]

    assert sorted(made) == sorted(told)


def test_what_is_spoiled_is_left_out(
    server: Server, past: History, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """And logged: a record of another type, one that says nonsense, one that is gone."""
    made = [enqueue(server) for _ in range(5)]
    redis.set(keys.run(TENANT, made[0]), "x")
    redis.hset(keys.run(TENANT, made[1]), "attempts", "many")
    redis.delete(keys.run(TENANT, made[2]))

    assert sorted(made[3:]) == sorted(run.id for run in past.runs(TENANT))
    assert 3 == caplog.text.count("key_unreadable key=taglane:{acme}:run:")


def test_the_ledger_is_told_by_the_day(past: History, redis: Redis) -> None:
    """The oldest first, of the tenant and its jobs, as far back as it is looked for; what is no count as it stands."""
    today = server_time(redis)
    days = [
        datetime.fromtimestamp(today / 1000 - back * 86_400, UTC).strftime("%Y%m%d")
        for back in (0, 7, 2 * history.DAYS)
    ]
    for day in days:
        redis.hset(keys.ledger(TENANT, day), mapping={"fired": 3, "x": "much"})
    redis.hset(keys.job_ledger(TENANT, days[0]), mapping={"report|fired": 2, "|fields": 1})

    ledger = past.ledger(TENANT)

    assert [days[1], days[0]] == list(ledger)
    assert {"fired": 3, "report|fired": 2, "x": "much"} == ledger[days[0]]
    assert {"fired": 3, "x": "much"} == ledger[days[1]]


def test_a_tenant_without_a_past(past: History) -> None:
    assert ([], {}) == (list(past.runs(TENANT)), past.ledger(TENANT))


def test_another_tenants_past_is_refused(server: Server, redis: Redis) -> None:
    """By the server, at the first page."""
    from taglane_scheduler.tenancy.tenants import Tenants  # noqa: PLC0415 - of the floor above

    url = Tenants(server).create("globex").url
    enqueue(server)
    assert run_ids(redis)

    with pytest.raises(Refused):
        list(History(make_server(url, load=False)).runs(TENANT))
