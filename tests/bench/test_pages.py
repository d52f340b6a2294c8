"""The measurement of pages, in short: it can't rot unseen. Nothing looks at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.pages import QUERIES, Size, main

if TYPE_CHECKING:
    import pytest


def test_every_read_gives_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is timed in each round: of few tenants with much, of many with little; and so is what looking on costs."""
    size = Size(tenants=2, runs=300, jobs=30, rounds=2, many=20, seconds=0.1)

    reads, pages, first, many = main({}, size)

    assert {f"runs {text or '(all)'}" for text in QUERIES} <= set(reads.figures)
    assert all(len(values) >= 2 for each in (reads, pages, many) for values in each.figures.values())
    assert {"jobs", "a job", "runs", "a run", "dead letters", "overview"} <= set(pages.figures)
    assert {"API: runs", "API: jobs", "API: tenants", "API: metrics"} <= set(pages.figures) & set(many.figures)
    assert all(first.figures.values())
    assert 6 == capsys.readouterr().out.count(" ms/s  ")
