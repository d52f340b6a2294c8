"""Whether runs are traced here: the switch, which is off unless TAGLANE_OTEL says otherwise, and costs nothing then.

OpenTelemetry is imported by `taglane.runtime.spans`, and that by the first span of a process: so after a pool has
forked its children, each of them exports what it executes itself.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from taglane.errors import ExtraMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taglane.runtime.spans import Spans
    from taglane.store.runs import NewRun

FLUSH_MS = 3_000
"""How long, ms, the end of a process waits at most for its last spans to be exported."""

_service: str | None = None
_spans: Spans | None = None
_spans_pid = 0


def want(service: str = "", *, otel: bool) -> None:
    """Trace from now on in this process, and in those that it forks, if *otel* says so. Imports nothing yet.

    Args:
        service: what OTEL_SERVICE_NAME is where it says nothing.
        otel: the setting.

    Raises:
        ExtraMissing: OpenTelemetry is not installed.
    """
    global _service  # noqa: PLW0603 - one process is traced, or not
    if not otel:
        return
    from importlib.util import find_spec  # noqa: PLC0415 - off pays for nothing

    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ExtraMissing("TAGLANE_OTEL=1", "otel")
    _service = _service or service


def is_on() -> bool:
    """Whether runs are traced here."""
    return _service is not None


def spans() -> Spans | None:
    """What makes this process's spans; None where nothing is traced."""
    global _spans, _spans_pid
    if _service is None:
        return None
    if _spans is None or _spans_pid != os.getpid():
        from taglane.runtime.spans import Spans  # noqa: PLC0415 - off imports nothing

        _spans, _spans_pid = Spans(_service), os.getpid()
    return _spans


@contextmanager
def sending(tenant: str, runs: Sequence[NewRun]) -> Iterator[Sequence[NewRun]]:
    """Make the block the sending of these runs of a tenant: yields them as they are to be made, with its context."""
    here = spans()
    if here is None:
        yield runs
        return
    with here.sending(tenant, runs) as traced:
        yield traced


def flush() -> None:
    """Export what is not exported yet, as a process does that ends."""
    if _spans is not None and _spans_pid == os.getpid():
        _spans.flush(FLUSH_MS)


def stop() -> None:
    """Trace no more in this process."""
    global _service, _spans  # noqa: PLW0603 - likewise
    _service = _spans = None
