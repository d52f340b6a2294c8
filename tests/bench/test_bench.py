"""The benchmark, in its short form: it can't rot unseen. Nothing here looks at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench.__main__ import measure

if TYPE_CHECKING:
    from bench.rounds import Comparison


@pytest.fixture(scope="module")
def comparisons() -> list[Comparison]:
    return measure(runs=150, rounds=1, choose=False)


@pytest.mark.timeout(300)
def test_every_measurement_gives_a_figure(comparisons: list[Comparison]) -> None:
    """Each line has a positive figure of ours, and one of theirs wherever they have such a thing."""
    assert all(value > 0 for line in comparisons for value in (*line.ours, *line.theirs))
    assert {"drain auto vs prefork, results", "enqueue_many vs apply_async, results"} <= {
        line.what for line in comparisons
    }
    assert ["fires/s", "tenants/s", "tenants/s"] == [line.unit for line in comparisons if not line.theirs]


@pytest.mark.timeout(300)
def test_a_worker_asks_the_server_less_than_stock_celery_does(comparisons: list[Comparison]) -> None:
    """Commands a run don't depend on the machine: ours batches, kombu's transport can't."""
    for line in comparisons:
        if line.notes:
            assert sum(line.notes["taglane"].commands.values()) < sum(line.notes["celery"].commands.values())
