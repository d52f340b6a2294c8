"""Cancelling and running again all that a query takes: each run once, whoever asks how often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from factories import HandWorker, enqueue, make_server
from taglane.errors import Refused
from taglane.model.query import parse_query
from taglane.store import keys
from taglane.store.bulk import Bulk, BulkProgress, cancellable, retryable
from taglane.store.runs import Runs
from taglane.store.search import RunSearch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane.store.server import Server


def bulk(server: Server) -> Bulk:
    return Bulk(Runs(server), RunSearch(server))


def last(steps: Iterator[BulkProgress]) -> BulkProgress:
    return list(steps)[-1]


def failed(server: Server, count: int, tenant: str = "acme") -> None:
    """Let so many runs fail."""
    worker = HandWorker(server, tenant).hello()
    for _ in range(count):
        enqueue(server, tenant)
    worker.finish(worker.fetch(count), "failed")


def test_cancel_ends_what_waits_and_asks_for_what_runs(store: Server) -> None:
    """Of all tenants that are meant, and of no other; what has ended is not looked at."""
    failed(store, 3)
    worker = HandWorker(store).hello()
    running = enqueue(store)
    worker.fetches = 1
    assert [running] == [run for run, _ in worker.fetch()]
    for tenant in ("acme", "globex"):
        for _ in range(5):
            enqueue(store, tenant)

    done = last(bulk(store).cancel_all(parse_query(""), ["acme"], why="too many"))

    assert BulkProgress(done=6, total_seen=6) == done
    assert "too many" == Runs(store).get(running).asked_to_stop
    assert 5 == sum(run.state == "cancelled" for run in Runs(store).list("acme"))
    assert 5 == sum(run.state == "queued" for run in Runs(store).list("globex"))


def test_retry_makes_each_run_anew_once(store: Server) -> None:
    """Asked again it goes on with what is left: what was run again, by whomever, is skipped."""
    failed(store, 250)
    one = RunSearch(store).page(parse_query("state:failed"), ["acme"], limit=1).runs[0]
    Runs(store).replay(one.id)

    steps = list(bulk(store).retry_all(parse_query("state:failed"), ["acme"], most=120))
    rest = last(bulk(store).retry_all(parse_query("state:failed"), ["acme"]))

    assert 2 <= len(steps)
    assert (120, True) == (steps[-1].done, steps[-1].more)
    assert (129, 121, False) == (rest.done, rest.skipped, rest.more)
    made = [run for run in Runs(store).list("acme", limit=1_000) if run.of]
    assert 250 == len(made) == len({run.of for run in made})


def test_two_who_retry_at_once_make_one_run_of_each(store: Server, url: str) -> None:
    failed(store, 200)
    servers = [make_server(url) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda each: last(bulk(each).retry_all(parse_query("state:failed"), ["acme"])), servers))

    assert all(each.failed == 0 for each in done)
    made = [run.of for run in Runs(store).list("acme", limit=1_000) if run.of]
    assert 200 == len(made) == len(set(made))
    for server in servers:
        server.close()


def test_a_dead_letter_is_run_again(store: Server) -> None:
    worker = HandWorker(store).hello()
    enqueue(store)
    worker.finish(worker.fetch(), "dead")

    assert 1 == last(bulk(store).retry_all(parse_query("state:dead"), ["acme"])).done
    assert 1 == last(bulk(store).retry_all(parse_query("state:dead"), ["acme"])).skipped


def test_a_limit_that_all_would_meet_ends_it(store: Server, redis: Redis) -> None:
    failed(store, 250)
    redis.hset(keys.limits("acme"), "queued", 130)

    done = last(bulk(store).retry_all(parse_query("state:failed"), ["acme"]))

    assert (130, 120, True) == (done.done, done.failed, done.more)
    assert "130" in done.last_error


def test_one_that_is_spoiled_hides_no_other(store: Server, redis: Redis) -> None:
    failed(store, 3)
    one = RunSearch(store).page(parse_query("state:failed"), ["acme"], limit=1).runs[0]
    redis.hset(keys.run("acme", one.id), "finished_at", "never")

    done = last(bulk(store).retry_all(parse_query("state:failed"), ["acme"]))

    assert (2, 1) == (done.done, done.skipped)


@pytest.mark.parametrize(
    ("text", "cancels", "retries"),
    [
        ("", "state:open", "state:unwell"),
        ("job:a state:queued,failed", "state:queued job:a", "state:failed job:a"),
        ("state:succeeded", None, None),
        ("state:open", "state:open", None),
    ],
)
def test_what_of_a_query_is_meant(text: str, cancels: str | None, retries: str | None) -> None:
    query = parse_query(text)

    assert cancels == (str(meant) if (meant := cancellable(query)) else None)
    assert retries == (str(meant) if (meant := retryable(query)) else None)


def test_where_nothing_is_meant_nothing_is_done(store: Server) -> None:
    assert [BulkProgress()] == list(bulk(store).cancel_all(parse_query("state:succeeded"), ["acme"]))
    assert BulkProgress() == last(bulk(store).retry_all(parse_query("state:failed"), ["acme"]))


def test_a_tenant_acts_on_its_own(acme: Server, store: Server) -> None:
    for tenant in ("acme", "globex"):
        enqueue(store, tenant)

    assert 1 == last(bulk(acme).cancel_all(parse_query(""), ["acme"])).done
    with pytest.raises(Refused):
        last(bulk(acme).cancel_all(parse_query(""), ["globex"]))
