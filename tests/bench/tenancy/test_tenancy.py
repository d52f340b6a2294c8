"""The measurements of tenants beside one another, in short: they can't rot unseen. Nothing looks at a time."""

from __future__ import annotations

import pytest
from bench.tenancy.__main__ import MEASURES, measure
from bench.tenancy.figures import Sheet, jain, percentile, share_error, while_all_wait
from bench.tenancy.size import SHORT


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MEASURES)
def test_each_measurement_gives_figures(name: str) -> None:
    """With real processes; each figure once a round."""
    sheet = measure([name], 1, SHORT)

    assert sheet.figures
    assert {1} <= {len(figure.values) for figure in sheet.figures.values()}


def test_a_figure_is_the_median_of_its_rounds_and_held_against_its_aim() -> None:
    sheet = Sheet()
    for value in (1.0, 9.0, 2.0):
        sheet.note("wait", value, "ms", most=2)
        sheet.note("share", value, "x", least=3)

    wait, share = sheet.figures.values()
    assert (2, False) == (wait.value, wait.misses)
    assert (2, True) == (share.value, share.misses)
    assert ["wait  of 3 rounds", "share  of 3 rounds  MISSED"] == [line[32:].strip() for line in sheet.lines()]


def test_shares_are_counted_while_every_tenant_has_more() -> None:
    """Who has least is served out first; what comes after that says nothing of fairness."""
    got = while_all_wait(["a", "b", "a", "b", "a", "a"], {"a": 4, "b": 2})

    assert {"a": 2, "b": 2} == got
    assert 1 == jain([*got.values()])
    assert 0.5 == jain([1, 0])
    assert 0 == share_error({"a": 6, "b": 2}, {"a": 3, "b": 1})
    assert 100 == share_error({"a": 4, "b": 4}, {"a": 3, "b": 1})


def test_a_percentile_is_one_of_the_values() -> None:
    assert [50, 99, 100] == [percentile(range(1, 101), percent) for percent in (50, 99, 100)]
