"""Charts as the paths of an SVG."""

from __future__ import annotations

import re
from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from taglane.model.standing import Minute
from taglane.model.usage import DayUsage
from taglane_scheduler.web.console.charts import HEIGHT, TALL, days, hour, stack

COLUMN = re.compile(r"M(?P<left>[\d.]+) (?P<top>-?[\d.]+)h[\d.]+v(?P<tall>[\d.]+)h-[\d.]+z")

counts = st.integers(0, 10**9)


@given(st.lists(st.tuples(counts, counts), max_size=60))
def test_what_is_there_is_seen_and_nothing_is_higher_than_the_chart(columns: list[tuple[int, int]]) -> None:
    """A column a value that is not 0, none of them without height, all of them inside."""
    chart = stack(columns)

    for path, values in ((chart.ok, [ok for ok, _ in columns]), (chart.no, [no for _, no in columns])):
        drawn = [match.groupdict() for match in COLUMN.finditer(path)]
        assert sum(value > 0 for value in values) == len(drawn)
        for each in drawn:
            assert float(each["tall"]) >= 1
            assert -0.1 <= float(each["top"])
            assert float(each["top"]) + float(each["tall"]) <= HEIGHT + 0.1


def test_an_hour_and_some_days_are_columns() -> None:
    """Of a day all that did not succeed stands on what did."""
    assert "M2 0.0h1.5v24.0h-1.5z" == hour([Minute(0), Minute(60_000, succeeded=9)]).ok
    chart = days([DayUsage("acme", date(2026, 1, 1), succeeded=1, failed=1, dead=1, expired=1)])
    assert (f"M0 {TALL * 3 / 4}h16v{TALL / 4}h-16z", TALL) == (chart.ok, chart.height)
    assert f"M0 0.0h16v{TALL * 3 / 4}h-16z" == chart.no
