"""Plots are well-formed, small, and the same bytes for the same figures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from bench import plot

if TYPE_CHECKING:
    from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"


def texts(path: Path) -> list[str]:
    return [element.text or "" for element in ET.parse(path).iter(f"{SVG}text")]


def test_lines_have_axes_a_legend_and_both_schemes(tmp_path: Path) -> None:
    """Names are text, markup in them is not; round ticks stand at both axes, the y axis begins at 0."""
    path = tmp_path / "new" / "memory.svg"
    plot.lines(path, "Memory", "runs", "MB", {"a < b": [(0, 40), (1e6, 44.5)], "c": [(0, 20), (1e6, 90)]})

    assert {"Memory", "runs", "MB", "a < b", "c", "0", "1,000,000", "40", "100"} <= {*texts(path)}
    assert "prefers-color-scheme:dark" in path.read_text()


def test_many_points_make_no_large_file_and_keep_their_peaks(tmp_path: Path) -> None:
    """Of each column of the plot the least and the most stay: one late fire in 100,000 is still seen."""
    flat = {"p99": [(float(x), 10.0) for x in range(100_000)]}
    peak = {"p99": [(x, 500.0 if x == 33_333 else y) for x, y in flat["p99"]]}
    for name, series in (("flat", flat), ("peak", peak)):
        plot.lines(tmp_path / name, name, "s", "ms", series)

    assert all((tmp_path / name).stat().st_size < 50_000 for name in ("flat", "peak"))
    heights = {
        y for path in re.findall(r'd="(M[^"]+L[^"]+)"', (tmp_path / "peak").read_text()) for y in heights_of(path)
    }
    assert 2 == len(heights)


def heights_of(path: str) -> set[str]:
    return {piece.split()[1] for piece in re.split("[ML]", path) if piece}


def test_a_logarithmic_axis_leaves_out_what_it_cannot_show(tmp_path: Path) -> None:
    """Powers of ten are its ticks."""
    path = tmp_path / "size.svg"
    plot.lines(path, "Size", "jobs", "us", {"fire": [(0, 9), (1_000, 10), (1_000_000, 11)]}, log_x=True)

    assert {"1,000", "10,000", "100,000", "1,000,000"} <= {*texts(path)}
    assert 2 == sum(1 for _ in ET.parse(path).iter(f"{SVG}circle"))


def test_bars_are_as_long_as_their_values(tmp_path: Path) -> None:
    """Ours have a colour of their own; an aim is a broken line; the same figures give the same bytes."""
    path, again = tmp_path / "a.svg", tmp_path / "b.svg"
    for each in (path, again):
        plot.bars(each, "Drain", "runs/s", {"taglane": 8_000, "huey": 4_000, "none": 0}, ours=["taglane"], aim=5_000)

    found = [element for element in ET.parse(path).iter(f"{SVG}rect") if "x" in element.attrib]
    ours, huey, none = (float(element.attrib["width"]) for element in found)
    assert (abs(ours - 2 * huey) < 0.2, none) == (True, 0)
    assert ["fill c0", "fill other", "fill other"] == [element.attrib["class"] for element in found]
    assert 'class="aim"' in path.read_text()
    assert path.read_bytes() == again.read_bytes()


def test_nothing_to_draw_is_drawn(tmp_path: Path) -> None:
    """A measurement that gave nothing ends with an empty plot, not with an error."""
    plot.lines(tmp_path / "lines", "Nothing", "s", "ms", {"p50": []}, log_x=True, log_y=True)
    plot.bars(tmp_path / "bars", "Nothing", "s", {}, log_x=True)

    assert all("Nothing" in texts(tmp_path / name) for name in ("lines", "bars"))
