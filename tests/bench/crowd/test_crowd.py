"""The measurement of very many tenants, in short: it can't rot unseen. Nothing looks at a time."""

from __future__ import annotations

import pytest
from bench.crowd.__main__ import MEASURES, measure
from bench.crowd.size import SHORT


@pytest.mark.timeout(300)
def test_every_measurement_gives_a_figure() -> None:
    """Of each part; a message beside idle workers wakes few of them, and memory is where it was."""
    sheet = measure(list(MEASURES), SHORT)

    assert all(figure.values for figure in sheet.figures.values())
    (woken,) = [figure for what, figure in sheet.figures.items() if "for a message" in what]
    assert not woken.misses
    assert {"MB", "ms", "us/s each", "/s each", "x"} <= {figure.unit for figure in sheet.figures.values()}
