"""The measurement of pages, in short: it can't rot unseen. Nothing looks at a time."""

from __future__ import annotations

from bench.pages import QUERIES, Size, main


def test_every_read_gives_a_figure() -> None:
    """Each is timed in each round: of few tenants with much, and of many with little."""
    reads, pages, first, many = main(
        {"PAGES_ONLY": "pages,many"}, Size(tenants=2, runs=300, jobs=30, rounds=2, many=20)
    )

    assert {f"runs {text or '(all)'}" for text in QUERIES} <= set(reads.figures)
    assert all(len(values) >= 2 for each in (reads, pages, many) for values in each.figures.values())
    assert {"jobs", "a job", "runs", "a run", "dead letters", "overview"} <= set(pages.figures)
    assert {"API: runs", "API: jobs", "API: tenants", "API: metrics"} <= set(pages.figures) & set(many.figures)
    assert all(first.figures.values())
