"""What spans say of a run, and how the context of one comes to the next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from billiard.einfo import ExceptionInfo
from celery.exceptions import Retry
from opentelemetry import baggage, context
from spans import Seen, memory, seen
from taglane.model.envelope import HEADER, LONGEST_TRACE, PREVIOUS, Delivery, next_try, of_call, unpack
from taglane.runtime import tracing
from taglane.runtime.carry import Outcome, current_carry, execute
from taglane.runtime.run_log import Bounds, RunLog
from taglane.store.runs import NewRun

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _on() -> Iterator[None]:
    memory().clear()
    tracing.want(otel=True)
    yield
    tracing.stop()


def make_run(run_id: str = "acme.1") -> NewRun:
    return NewRun(run_id, "shop.report", "acme.gpu", of_call({"n": 1}))


def spans() -> list[Seen]:
    return [seen(span) for span in memory().get_finished_spans()]


def request_of(envelope: str) -> dict[str, Any]:
    """The message's headers, as a worker has them that fetched a run."""
    delivery = Delivery("acme.1", 1, envelope.encode(), 1, "acme", "acme.gpu", "", None, 0, "", "", "shop.report")
    headers: dict[str, Any] = unpack(delivery)["headers"]
    return headers


def information_of(error: Exception) -> ExceptionInfo:
    """An error as Celery's tracer returns it."""
    try:
        raise error
    except type(error):
        return ExceptionInfo()


def executed(envelope: str, error: Exception | None = None) -> tuple[Outcome, dict[str, Any]]:
    """The outcome of an attempt that is traced, and its message's headers."""
    request = request_of(envelope)
    information = None if error is None else information_of(error)

    def tracer(*_: Any) -> tuple[int, Any, float]:
        return (0, "3", 0.1) if information is None else (1, information, 0.1)

    _, outcome = execute(tracer, "shop.report", "acme.1", request)
    assert outcome is not None
    return outcome, request


def test_what_a_traced_run_has_logged_goes_with_its_end() -> None:
    """As of one that is not traced."""
    (run,) = sent(make_run())

    def tracer(*_: Any) -> tuple[int, Any, float]:
        carry = current_carry()
        assert carry is not None
        carry.open_log(lambda run: RunLog(run, Bounds(9, 999))).add("INFO", "shop", "log", "line")
        return 0, "3", 0.1

    _, outcome = execute(tracer, "shop.report", "acme.1", request_of(run.envelope))

    assert outcome is not None
    assert ["line"] == [line[3] for said in outcome.log for line in said.lines]


def sent(*runs: NewRun) -> list[NewRun]:
    with tracing.sending("acme", runs) as traced:
        return [*traced]


def test_the_attempt_is_a_child_of_the_sending() -> None:
    """The context lies in the envelope; both say whose the run is, and which."""
    (run,) = sent(make_run())

    executed(run.envelope)

    sending, attempt = spans()
    assert ("enqueue shop.report", "PRODUCER", "") == (sending.name, sending.kind, sending.parent)
    assert ("run shop.report", "CONSUMER", sending.id) == (attempt.name, attempt.kind, attempt.parent)
    assert sending.trace == attempt.trace
    said = {
        "taglane.tenant": "acme",
        "taglane.tag": "acme.gpu",
        "taglane.run_id": "acme.1",
        "messaging.system": "taglane",
    }
    assert said.items() <= sending.attributes.items()
    assert (said | {"taglane.attempt": 1, "taglane.outcome": "succeeded"}).items() <= attempt.attributes.items()


def test_many_are_one_sending() -> None:
    """Each of their attempts is its child."""
    runs = sent(make_run("acme.1"), make_run("acme.2"))

    for run in runs:
        executed(run.envelope)

    sending, *attempts = spans()
    assert 2 == sending.attributes["messaging.batch.message_count"]
    assert [sending.id] * 2 == [attempt.parent for attempt in attempts]
    with tracing.sending("acme", []) as none:
        assert not none


def test_an_attempt_that_follows_another_is_linked_to_it() -> None:
    """It is no child of it: the one before has ended."""
    (run,) = sent(make_run())
    carried = of_call({})

    def retried(*_: Any) -> tuple[int, Any, float]:
        carry = current_carry()
        assert carry is not None
        carry.verdict = Outcome("retry", wait=5)
        return 1, information_of(Retry(exc=ValueError("not yet"))), 0.1

    _, outcome = execute(retried, "shop.report", "acme.1", request_of(run.envelope))
    assert outcome is not None
    executed(next_try(run.envelope.encode(), outcome.trace))

    sending, first, second = spans()
    assert ([], [first.id]) == (first.links, second.links)
    assert (sending.id, sending.id) == (first.parent, second.parent)
    assert first.failed
    assert "ValueError" == first.attributes["error.type"]
    assert PREVIOUS not in request_of(carried)


def test_an_error_is_told_with_its_traceback() -> None:
    """As the run's own record has it: without our frames."""
    executed(of_call({}), ValueError("on purpose"))

    (span,) = memory().get_finished_spans()
    (event,) = span.events
    told: Any = event.attributes
    assert "ValueError: on purpose" == span.status.description
    assert ("ValueError", "on purpose") == (told["exception.type"], told["exception.message"])
    assert "taglane/runtime" not in told["exception.stacktrace"]


def test_a_run_without_a_context_begins_a_trace() -> None:
    """One that nobody traced, or whose tenant wrote something else there."""
    spoiled = json.dumps({"t": {"traceparent": 7, "baggage": ["x"], "id": "other"}, "b": "[[],{},{}]"})

    for envelope in (of_call({}), spoiled, '{"t":{"traceparent":"00-zz"},"b":"[[],{},{}]"}'):
        executed(envelope)

    assert ["", "", ""] == [span.parent for span in spans()]
    assert "acme.1" == request_of(spoiled)["id"]


def test_what_is_carried_is_bounded() -> None:
    """Of baggage that is too large the trace is carried alone."""
    token = context.attach(baggage.set_baggage("k", "x" * LONGEST_TRACE))
    try:
        (large,) = sent(make_run())
    finally:
        context.detach(token)
    token = context.attach(baggage.set_baggage("k", "v"))
    try:
        (small,) = sent(make_run())
    finally:
        context.detach(token)

    assert ["traceparent"] == list(json.loads(large.envelope)["t"])
    assert "k=v" == json.loads(small.envelope)["t"]["baggage"]
    assert request_of(small.envelope)[HEADER]["run"] == "acme.1"
