"""Makes the spans of runs: one where a run is made, one of each attempt, in one trace from the caller to the end.

The context travels in the run's envelope. What a task enqueues while it executes is a child of its attempt; an attempt
that follows another one of the same run is linked to that.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import propagate, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from taglane.model.envelope import HEADER, PREVIOUS, TRACE_HEADERS, with_trace
from taglane.runtime.carry import last_of, raised, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.trace import Span

    from taglane.context import CurrentRun
    from taglane.runtime.carry import Carry
    from taglane.store.runs import NewRun

SYSTEM = "taglane"
FAILURES = frozenset({"failed", "dead", "died", "retry"})
"""The ends of attempts that are errors."""

_W3C = TraceContextTextMapPropagator()


class Spans:
    """The tracer of one process. The provider is the application's, or else one that the OTEL_* variables describe.

    Args:
        service: what the process is called where OTEL_SERVICE_NAME says nothing.
    """

    def __init__(self, service: str = "") -> None:
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(_provider(service))
        self._tracer = trace.get_tracer("taglane")

    @contextmanager
    def sending(self, tenant: str, runs: Sequence[NewRun]) -> Iterator[Sequence[NewRun]]:
        """Make the block the sending of these runs; yields them with its context. Its error is the span's."""
        first = runs[0] if runs else None
        if first is None:
            yield runs
            return
        attributes = _attributes("enqueue", "send", tenant, first.tag, first.task)
        if len(runs) == 1:
            attributes |= {"messaging.message.id": first.id, "taglane.run_id": first.id}
        else:
            attributes["messaging.batch.message_count"] = len(runs)
        name = f"enqueue {first.task}"
        with self._tracer.start_as_current_span(name, kind=SpanKind.PRODUCER, attributes=attributes):
            carrier = self.carrier()
            yield [run._replace(envelope=with_trace(run.envelope, carrier)) for run in runs]

    @contextmanager
    def publishing(self, tenant: str, tag: str, headers: dict[str, Any]) -> Iterator[None]:
        """Make the block the sending of a message of Celery's, whose *headers* are given its context."""
        attributes = _attributes("enqueue", "send", tenant, tag, headers["task"])
        attributes |= {"messaging.message.id": headers["id"], "taglane.run_id": headers["id"]}
        name = f"enqueue {headers['task']}"
        with self._tracer.start_as_current_span(name, kind=SpanKind.PRODUCER, attributes=attributes):
            headers.update(self.carrier())
            yield

    @contextmanager
    def running(self, run: CurrentRun, request: Mapping[str, Any]) -> Iterator[Attempt]:
        """Make the block one attempt of a run, whose message's headers are in *request*."""
        carrier = {name: request[name] for name in TRACE_HEADERS if isinstance(request.get(name), str)}
        task = str(request[HEADER]["task"])
        attributes = _attributes("run", "process", run.tenant, run.tag, task)
        attributes |= {"messaging.message.id": run.id, "taglane.run_id": run.id, "taglane.attempt": run.attempt}
        if run.job:
            attributes["taglane.job"] = run.job
        previous = request.get(PREVIOUS)
        links = [Link(context)] if isinstance(previous, str) and (context := _context(previous)) is not None else []
        with self._tracer.start_as_current_span(
            f"run {task}",
            context=propagate.extract(carrier),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=links,
            record_exception=False,
        ) as span:
            yield Attempt(span)

    def context(self, span: Span) -> str:
        """Return a span's context as a run carries it."""
        return traceparent(span)

    def firing(self, tenant: str, tag: str, job: str, run_id: str) -> Span:
        """Begin the span of a fire: end it when the run is made; if it is not made, forget it."""
        attributes = _attributes("fire", "send", tenant, tag, "")
        attributes |= {"taglane.job": job, "taglane.run_id": run_id, "messaging.message.id": run_id}
        return self._tracer.start_span(f"fire {job}", kind=SpanKind.PRODUCER, attributes=attributes)

    def carrier(self) -> dict[str, str]:
        """Return the current context as headers."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return {name: text for name, text in carrier.items() if name in TRACE_HEADERS}

    def flush(self, milliseconds: int) -> None:
        """Export what is not exported yet; give up after so long."""
        force_flush = getattr(trace.get_tracer_provider(), "force_flush", None)
        if force_flush is not None:
            force_flush(milliseconds)


class Attempt:
    """The span of an attempt that goes on."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.context = traceparent(span)

    def ended(self, carry: Carry, kind: str, value: Any) -> None:
        """Say how it ended; *value* is what Celery's tracer returned."""
        self._span.set_attribute("taglane.outcome", kind)
        if kind not in FAILURES:
            return
        error = raised(value)
        if carry.verdict is not None or kind == "retry":
            error = getattr(error, "exc", None) or error  # of Celery's Retry, what made it
        name = type(error).__qualname__ if isinstance(error, BaseException) else kind
        message = shortened(str(error)) if isinstance(error, BaseException) else ""
        self._span.set_attribute("error.type", name)
        self._span.set_status(Status(StatusCode.ERROR, f"{name}: {message}" if message else name))
        event = {"exception.type": name, "exception.message": message}
        if traceback := getattr(value, "traceback", None):
            event["exception.stacktrace"] = last_of(str(traceback))
        self._span.add_event("exception", event)


def traceparent(span: Span) -> str:
    """Return a span's context as the W3C's header has it."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, trace.set_span_in_context(span))
    return carrier.get("traceparent", "")


def _context(header: str) -> trace.SpanContext | None:
    context = trace.get_current_span(_W3C.extract({"traceparent": header})).get_span_context()
    return context if context.is_valid else None


def _attributes(operation: str, kind: str, tenant: str, tag: str, task: str) -> dict[str, Any]:
    found = {
        "messaging.system": SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        "messaging.destination.name": tag,
        "taglane.tenant": tenant,
        "taglane.tag": tag,
    }
    return {name: value for name, value in (found | {"taglane.task": task}).items() if value}


def _provider(service: str) -> trace.TracerProvider:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an application's own provider needs no SDK
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter  # noqa: PLC0415

    says = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    provider = TracerProvider(resource=Resource.create({"service.name": service} if service and not says else {}))
    for exporter in os.environ.get("OTEL_TRACES_EXPORTER", "otlp").split(","):
        match exporter.strip():
            case "otlp":
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

                provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            case "console":
                provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
    return provider
