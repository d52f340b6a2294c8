"""The switch: off it imports nothing, and says nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from taglane.errors import ExtraMissing
from taglane.runtime import tracing
from taglane.store.runs import NewRun

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = NewRun("acme.1", "a.b", "acme", '{"b":"[[],{},{}]"}')


@pytest.fixture(autouse=True)
def _off() -> Iterator[None]:
    tracing.stop()
    yield
    tracing.stop()


def test_off_changes_nothing() -> None:
    """What is sent goes as it is."""
    tracing.want(otel=False)

    with tracing.sending("acme", [RUN]) as runs:
        assert [RUN] == runs
    assert (False, None) == (tracing.is_on(), tracing.spans())
    tracing.flush()


def test_off_imports_nothing() -> None:
    """Neither the client nor an installed application pays for it."""
    code = "import sys, celery, taglane; taglane.install(celery.Celery('x')); taglane.Taglane()"
    code += "\nassert not {'taglane.runtime.spans', 'prometheus_client'} & {*sys.modules}"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not in a traceback of an import, later."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)

    with pytest.raises(ExtraMissing, match=r"TAGLANE_OTEL=1 .*pip install 'taglane\[otel\]'"):
        tracing.want(otel=True)
    assert not tracing.is_on()


def test_whoever_asks_last_does_not_rename_the_process() -> None:
    """A worker that has a client in it stays a worker."""
    tracing.want("taglane-worker", otel=True)
    tracing.want(otel=True)
    tracing.want(otel=False)

    assert tracing.is_on()
