"""The measurement of pages, in short: it can't rot unseen. Nothing looks at a time."""

from __future__ import annotations

from bench.pages import QUERIES, Size, main


def test_every_read_gives_a_figure() -> None:
    """Each is timed in each round."""
    reads, pages = main({}, Size(tenants=2, runs=300, jobs=30, rounds=2))

    assert {f"runs {text or '(all)'}" for text in QUERIES} <= set(reads.figures)
    assert all(len(values) >= 2 for values in (*reads.figures.values(), *pages.figures.values()))
    assert {"jobs", "a job", "runs", "a run", "dead letters", "overview"} <= set(pages.figures)
