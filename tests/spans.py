"""Where spans are caught: those of this process in memory, those of others by OTLP over HTTP."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


@cache
def memory() -> InMemorySpanExporter:
    """What this process's provider, which can be set once, exports to."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@dataclass(frozen=True)
class Seen:
    """A span, however it was caught. Ids are in hex."""

    name: str
    trace: str
    id: str
    parent: str
    kind: str
    attributes: dict[str, Any] = field(compare=False)
    links: list[str] = field(compare=False)
    failed: bool = False


def seen(span: ReadableSpan) -> Seen:
    """Return one that was caught in memory."""
    context: Any = span.get_span_context()
    return Seen(
        span.name,
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        f"{span.parent.span_id:016x}" if span.parent else "",
        span.kind.name,
        dict(span.attributes or {}),
        [f"{link.context.span_id:016x}" for link in span.links],
        failed=span.status.status_code is trace.StatusCode.ERROR,
    )


class Receiver:
    """A collector of OTLP over HTTP, on a free port of the loopback interface."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        self.services: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.take(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def endpoint(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is to say."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, body: bytes) -> None:
        """Take in what was sent."""
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            self.services |= {
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            }
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                attributes = {each.key: each.value.string_value or each.value.int_value for each in span.attributes}
                kind = {4: "PRODUCER", 5: "CONSUMER"}.get(span.kind, "")
                links = [link.span_id.hex() for link in span.links]
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                self.spans.append(Seen(span.name, *ids, kind, attributes, links, failed=span.status.code == 2))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
