"""What `taglane top` spells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.model.run import RunInfo
from taglane.model.standing import Minute, TagStanding, TenantStanding
from taglane_cli.top_text import (
    RUN_COLUMNS,
    SPARK_WIDTH,
    TAG_COLUMNS,
    TENANT_COLUMNS,
    age,
    attention_lines,
    count,
    headline,
    run_cells,
    spark,
    tag_cells,
    tenant_cells,
)
from taglane_scheduler.care.attention import Attention
from taglane_scheduler.care.board import Totals


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (9_999, "9999"), (12_345, "12.3k"), (123_456, "123k"), (4_560_000, "4.6M")]
)
def test_counts(number: int, text: str) -> None:
    assert text == count(number)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "-"),
        (-5, "0s"),
        (999, "0s"),
        (59_999, "59s"),
        (200_400, "3m20s"),
        (7_509_000, "2h5m"),
        (345_600_001, "4d"),
    ],
)
def test_ages(ms: int | None, text: str) -> None:
    assert text == age(ms)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=90))
def test_a_spark_line_has_a_place_for_each_time(ended: list[tuple[int, int]]) -> None:
    """Empty where nothing ended, its highest bar where most did."""
    bars = spark([Minute(number, *each) for number, each in enumerate(ended)])

    assert all(len(bar) <= SPARK_WIDTH for bar, _ in bars)
    assert len("".join(bar for bar, _ in bars)) <= SPARK_WIDTH
    if len(ended) == 60:
        assert SPARK_WIDTH == len(bars)
    if 20 == len(ended):
        for (ok, bad), (bar, style) in zip(ended, bars, strict=True):
            assert (bar == " ") == (ok + bad == 0)
            assert bad == 0 or style in {"red", "yellow"}
            assert "█" == bar or ok + bad < max(sum(each) for each in ended)


def test_rows_have_a_cell_for_each_column() -> None:
    """What nobody serves is red; what a tenant has said steers no terminal."""
    tag = TagStanding("acme.gpu", queued=3, oldest=9_000)
    tenant = TenantStanding("acme", tags=(tag,), queued=3, readable=False, stalled=1)
    run = RunInfo("acme.1", "acme", None, "a.b\x1b[2J", "acme", "running", None, 1, 1_000, None, "w", 1, None, None)

    cells = tenant_cells(tenant)

    assert len(TENANT_COLUMNS) == len(cells)
    assert ([("acme", "bold red")], [("?", "yellow")], [("0 (1 stalled)", "red")]) == (cells[0], cells[1], cells[-1])
    assert len(TAG_COLUMNS) == len(tag_cells(tag))
    assert "pool" == tag_cells(TagStanding("shared.x", queued=1))[7][0][0]
    assert len(RUN_COLUMNS) == len(run_cells(run, 61_000))
    assert ("a.b\\x1b[2J", "1m") == (run_cells(run, 61_000)[2][0][0], run_cells(run, 61_000)[-1][0][0])


def test_the_first_line() -> None:
    """The sums; or that the server is gone, and since when."""
    totals = Totals(tenants=3, read=2, queued=7, delayed=1, oldest=9_000)

    well = "".join(text for text, _ in headline("h:1", totals, "", 0.0))
    gone = "".join(text for text, _ in headline("h:1", totals, "no server at h:1\nx", 75.0))

    assert "h:1  tenants 3  read 2  backlog 8  oldest 9s  running 0" in well
    assert "taglane top  h:1  no server at h:1; trying again (last heard 1m15s ago)" == gone


def test_what_needs_attention() -> None:
    """So many lines, then how many more."""
    found = [
        Attention("failing", "acme", str(number), f"job {number} fails", "taglane x", 1_000) for number in range(5)
    ]
    found.append(Attention("overuse", "", "memory", "too\nmuch", "", None))

    lines = ["".join(text for text, _ in line) for line in attention_lines(found, 61_000, 2)]

    assert [
        "! acme  job 0 fails, since 1m  taglane x",
        "! acme  job 1 fails, since 1m  taglane x",
        "  and 4 more",
    ] == lines
    assert "! -  too\\nmuch" == "".join(text for text, _ in attention_lines(found[5:], 1, 2)[0])
    assert "nothing needs attention" == attention_lines([], 1, 2)[0][0][0]
