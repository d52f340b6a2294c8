"""One trace from who enqueues a run to the end of all that came of it, over processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from processes import WorkerProcess
from spans import Receiver, Seen, memory, seen
from taglane import Taglane
from taglane.runtime import tracing
from taglane.store import functions
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def lane(url: str, redis: Redis) -> Iterator[Taglane]:
    """A tenant's client, in a process that traces."""
    functions.load(redis)
    operator = Taglane(url)
    mine = Taglane(Tenants(operator.server).create("acme").url)
    memory().clear()
    tracing.want(otel=True)
    yield mine
    tracing.stop()
    mine.close()
    operator.close()


@pytest.mark.parametrize("pool", ["prefork", "auto"])
def test_a_trace_goes_from_the_caller_through_workers_to_the_end(lane: Taglane, pool: str) -> None:
    """Each attempt is a child of who made its run, also of a run that another one made; tries are linked."""
    with Receiver() as receiver:
        environment = {"TAGLANE_OTEL": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
        with WorkerProcess(lane.settings.url, ["acme"], "traced", pool, 1, environment):
            runs = [lane.enqueue(f"traced.{name}") for name in ("parent", "again", "broken")]
            child = lane.run(runs[0].wait(20).result)
            for run in (*runs, child):
                eventually(lambda run=run: run.info.is_ended)  # type: ignore[misc]
            eventually(lambda: lane.runs.list("acme", state="succeeded", limit=9)[3:])
        spans = {*receiver.spans, *map(seen, memory().get_finished_spans())}  # a worker that ends has exported all

    assert {"taglane-worker"} == receiver.services
    of_parent = tree(spans, runs[0].id)
    assert {
        ("enqueue traced.parent", ""),
        ("run traced.parent", "enqueue traced.parent"),
        ("enqueue traced.leaf", "run traced.parent"),
        ("run traced.leaf", "enqueue traced.leaf"),
    } == of_parent
    assert 6 == len([span for span in spans if span.trace == trace_of(spans, runs[0].id)])

    first, second = sorted(
        (span for span in spans if span.name == "run traced.again"), key=lambda each: bool(each.links)
    )
    assert ([], [first.id]) == (first.links, second.links)
    assert (True, False, first.parent) == (first.failed, second.failed, second.parent)

    (failed,) = [span for span in spans if span.name == "run traced.broken"]
    expected = {
        "taglane.tenant": "acme",
        "taglane.tag": "acme",
        "taglane.outcome": "failed",
        "error.type": "ValueError",
    }
    assert failed.failed
    assert expected.items() <= failed.attributes.items()


def trace_of(spans: set[Seen], run_id: str) -> str:
    return next(span.trace for span in spans if span.attributes.get("taglane.run_id") == run_id)


def tree(spans: set[Seen], run_id: str) -> set[tuple[str, str]]:
    """The names of the spans of a run's trace, each with its parent's."""
    own = [span for span in spans if span.trace == trace_of(spans, run_id)]
    names = {span.id: span.name for span in own}
    return {(span.name, names[span.parent] if span.parent else "") for span in own}
