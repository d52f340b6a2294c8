"""`taglane usage`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import HandWorker
from taglane.store.server import Server
from taglane_cli.usage import _span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Cli

FIELDS = (
    "tenant day job runs succeeded failed cancelled expired dead retried due fired skipped missed worker_seconds "
    "triggered replayed died attempts wait_p50_ms wait_p95_ms wait_p99_ms late_p50_ms late_p95_ms late_p99_ms"
)


@pytest.fixture
def worker(acme: Cli) -> Iterator[HandWorker]:
    server = Server(acme.url)
    yield HandWorker(server).hello()
    server.close()


def test_a_row_has_exactly_these_fields(taglane: Cli, acme: Cli, worker: HandWorker) -> None:
    """One for each tenant and day on which it did anything; a tenant sees its own alone."""
    acme.ok("enqueue", "a.b")
    acme.ok("enqueue", "a.b")
    worker.finish(worker.fetch(1))
    taglane.ok("enqueue", "a.b", "-t", "other")

    (own,) = acme.ok("usage", "-o", "json").json

    assert FIELDS.split() == list(own)
    assert ("acme", None, 2, 1, 0.001, 1) == tuple(
        own[name] for name in ("tenant", "job", "runs", "succeeded", "worker_seconds", "attempts")
    )
    assert own["wait_p50_ms"] == own["wait_p99_ms"] > 0
    assert None is own["late_p50_ms"]
    assert ["acme", "other"] == [row["tenant"] for row in taglane.ok("usage", "-o", "json").json]
    assert ["other"] == [row["tenant"] for row in taglane.ok("usage", "-t", "other", "-o", "json").json]
    assert 4 == acme("usage", "-t", "other").code
    assert 3 == taglane("usage", "-t", "nobody").code


def test_by_job(acme: Cli, worker: HandWorker) -> None:
    """What is not known of one job has no column."""
    for name in ("report", "sync"):
        acme.ok("job", "add", name, "--task", "a.b", "--manual")
        acme.ok("job", "trigger", name)
    worker.finish(worker.fetch(1))

    rows = acme.ok("usage", "--by", "job", "-o", "json").json
    head, line = acme.ok("usage", "--job", "report").out.splitlines()

    assert [("report", 1, 1), ("sync", 1, 0)] == [(row["job"], row["runs"], row["succeeded"]) for row in rows]
    assert ["acme", "report"] == line.split()[::2][:2]
    assert "WAIT" not in head
    assert 2 == acme("usage", "--job", "report", "--by", "tenant").code


def test_by_tenant(taglane: Cli, acme: Cli, worker: HandWorker) -> None:
    """All the days of a tenant in one row, with the percentiles of all its runs."""
    acme.ok("enqueue", "a.b")
    worker.finish(worker.fetch(1))

    (row,) = taglane.ok("usage", "--by", "tenant", "--days", "35").out.splitlines()[1:]

    assert ["acme", "1", "1"] == row.split()[:3]
    assert row.split()[-1] == "-"


def test_nothing_was_used(acme: Cli) -> None:
    """Says so on stderr; a period beyond what is kept is an error."""
    answer = acme.ok("usage")

    assert ("", True) == (answer.out, answer.err.startswith("nothing was used from "))
    assert 2 == acme("usage", "--days", "36").code
    assert 2 == acme("usage", "--days", "0").code


@pytest.mark.parametrize(
    ("ms", "told"),
    [(1, "1ms"), (512, "512ms"), (1_024, "1.0s"), (65_536, "65.5s"), (131_072, "2.2m"), (4_194_304, "1.2h")],
)
def test_a_span_is_told_in_its_unit(ms: int, told: str) -> None:
    assert told == _span(ms)
