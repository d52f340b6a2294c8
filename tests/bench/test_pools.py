"""The bench of pools, in its short form: it can't rot unseen. Nothing here looks at a time."""

from __future__ import annotations

import pytest
from bench.pools import STOCK, WORK, measure


@pytest.mark.timeout(120)
def test_a_work_has_a_rate_of_each_pool() -> None:
    """Each kind of work is a task, and a line says what every pool makes of one."""
    bench = measure(["both"], [2], 1, ["threads"], shorter=1_000)

    assert {("both", "threads", 2), ("both", STOCK, 2)} == set(bench.rates)
    assert all(rate > 0 for rates in bench.rates.values() for rate in rates)
    assert list(bench.lines())[1].startswith(WORK["both"].what)
