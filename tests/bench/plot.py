"""Draws figures as small SVG files, the same bytes for the same figures: lines over a scale, and bars beside names.

A plot follows the reader's light or dark scheme. No library draws it: matplotlib would bring 60 MB to `make bench`,
writes letters as paths, and knows no dark scheme.
"""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    Point = tuple[float, float]

WIDTH = 760
HEIGHT = 400
LEFT, RIGHT, BOTTOM = 76, 36, 56
BAR = 24
LETTER = 6.6
"""The width of a letter, about."""
COLUMN = 2
FEW = 40
"""Up to so many points each are marked."""
COLOURS = {  # light, dark: told apart in grey and by the colour-blind, in this order
    "light": ("#0b6bcb", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#be185d", "#0f766e", "#475569"),
    "dark": ("#60a5fa", "#fb923c", "#4ade80", "#c084fc", "#facc15", "#f472b6", "#2dd4bf", "#94a3b8"),
}
DASHES = ("", "7 3", "2 3", "9 3 2 3")


def lines(
    path: Path,
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Sequence[Point]],
    *,
    log_x: bool = False,
    log_y: bool = False,
) -> None:
    """Draw lines through points; *series* has them by their names, in the legend's order.

    Of many points at one place across the least and the most are kept, so that peaks stay. A linear axis of *y*
    begins at 0. What a logarithm can't show, 0 and less, is left out.
    """
    shown = {
        name: [(x, y) for x, y in sorted(points) if (x > 0 or not log_x) and (y > 0 or not log_y)]
        for name, points in series.items()
    }
    everything = [point for points in shown.values() for point in points] or [(1.0, 1.0)]
    svg = _canvas(title, HEIGHT)
    top = _legend(svg, list(shown)) + 16
    across = _Scale([x for x, _ in everything], LEFT, WIDTH - RIGHT, log=log_x)
    up = _Scale([y for _, y in everything], HEIGHT - BOTTOM, top, log=log_y, zero=True)
    for value in up.ticks:
        _line(svg, LEFT, up(value), WIDTH - RIGHT, up(value), "grid")
        _text(svg, LEFT - 8, up(value) + 4, _spell(value), anchor="end")
    for value in across.ticks:
        _line(svg, across(value), HEIGHT - BOTTOM, across(value), HEIGHT - BOTTOM + 5, "axis")
        _text(svg, across(value), HEIGHT - BOTTOM + 20, _spell(value), anchor="middle")
    _line(svg, LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis")
    _text(svg, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_label, anchor="middle")
    label = _text(svg, 0, 0, y_label, anchor="middle")
    label.set("transform", f"translate(16 {(top + HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)")
    for number, points in enumerate(shown.values()):
        placed = _thinned([(across(x), up(y)) for x, y in points])
        path_of = " ".join(f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(placed))
        if placed:
            ET.SubElement(svg, "path", {"d": path_of, **_stroke(number)})
        for x, y in placed if len(placed) <= FEW else ():
            ET.SubElement(svg, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "3", "class": f"fill c{number % 8}"})
    _write(path, svg)


def bars(
    path: Path,
    title: str,
    x_label: str,
    values: Mapping[str, float],
    *,
    ours: Collection[str] = (),
    aim: float | None = None,
    log_x: bool = False,
) -> None:
    """Draw a bar for each name, in the order given, with its value behind it; *ours* in a colour of their own.

    A broken line stands where the *aim* is. On a logarithmic axis bars begin at the power of ten below the least.
    """
    svg = _canvas(title, 92 + BAR * len(values))
    left = max(LEFT, round(16 + LETTER * max((len(name) for name in values), default=0)))
    foot = 44 + BAR * len(values)
    room = WIDTH - RIGHT - 8 - LETTER * max((len(_spell(value)) for value in values.values()), default=0)
    known = [*values.values(), *([] if aim is None else [aim])] or [1.0]
    across = _Scale(known, left, room, log=log_x, zero=True, decades=True)
    for value in across.ticks:
        _line(svg, across(value), 40, across(value), foot, "grid")
        _text(svg, across(value), foot + 18, _spell(value), anchor="middle")
    for number, (name, value) in enumerate(values.items()):
        top = 44 + BAR * number
        length = max(1.0, across(value) - left) if value > 0 else 0.0
        kind = "fill c0" if name in ours else "fill other"
        shape = {"x": str(left), "y": str(top), "width": f"{length:.1f}", "height": str(BAR - 6)}
        ET.SubElement(svg, "rect", {**shape, "class": kind})
        _text(svg, left - 8, top + 13, name, anchor="end")
        _text(svg, left + length + 6, top + 13, _spell(value))
    _line(svg, left, 40, left, foot, "axis")
    if aim is not None:
        _line(svg, across(aim), 36, across(aim), foot, "aim")
    _text(svg, (left + WIDTH - RIGHT) / 2, foot + 38, x_label, anchor="middle")
    _write(path, svg)


class _Scale:
    """Places values between two pixels, on an axis that ends at round figures."""

    def __init__(
        self,
        values: Sequence[float],
        begin: float,
        end: float,
        *,
        log: bool = False,
        zero: bool = False,
        decades: bool = False,
    ) -> None:
        self._log = log
        self._begin, self._span = begin, end - begin
        least, most = min(values), max(values)
        if log:
            self.ticks = _powers(least, most, whole=decades)
        else:
            self.ticks = _rounds(min(0, least) if zero else least, most, upwards=zero)
        edges = [*self.ticks, *(() if zero else (least, most))]
        self._low, self._high = self._shape(min(edges)), self._shape(max(edges))

    def __call__(self, value: float) -> float:
        """The pixel; what lies outside is put at the edge."""
        share = (self._shape(value) - self._low) / ((self._high - self._low) or 1)
        return self._begin + self._span * min(1.0, max(0.0, share))

    def _shape(self, value: float) -> float:
        return math.log10(value) if self._log and value > 0 else self._low if self._log else value


def _rounds(least: float, most: float, *, upwards: bool) -> list[float]:
    """Some four to eight multiples of 1, 2 or 5 times a power of ten, up to past the most when *upwards*."""
    span = (most - least) or abs(most) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 5))
    step = next(power * each for each in (1, 2, 5, 10) if span / (power * each) <= 6)
    first = math.ceil(least / step - 1e-9)
    last = math.ceil(most / step - 1e-9) if upwards else math.floor(most / step + 1e-9)
    return [each * step for each in range(first, last + 1)] or [least]


def _powers(least: float, most: float, *, whole: bool) -> list[float]:
    """Powers of ten from below the least to past the most; 2 and 5 between them where they are few."""
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    high = max(high, low + 1)
    steps = (1, 2, 5) if high - low <= 2 and not whole else (1,)
    return [each * 10.0**power for power in range(low, high + 1) for each in steps if power < high or each == 1]


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Of each column of two pixels that has more than two points, the least and the most, in the order they came."""
    kept: list[Point] = []
    for _, column in groupby(points, key=lambda point: round(point[0] / COLUMN)):
        every = list(column)
        if len(every) > 2:
            ends = {min(every, key=lambda point: point[1]), max(every, key=lambda point: point[1])}
            every = [point for point in every if point in ends][:2]
        kept += every
    return kept


def _canvas(title: str, height: int) -> ET.Element:
    size = {"viewBox": f"0 0 {WIDTH} {height}", "width": str(WIDTH), "height": str(height)}
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "aria-label": title, **size})
    ET.SubElement(svg, "style").text = _style()
    ET.SubElement(svg, "rect", {"width": "100%", "height": "100%", "rx": "6", "class": "paper"})
    _text(svg, 16, 24, title).set("class", "title")
    return svg


def _style() -> str:
    """The colours: the light scheme's, then the dark one's over them."""
    inks = {"light": ("#ffffff", "#1f2937", "#e5e7eb", "#9ca3af"), "dark": ("#0d1117", "#e5e7eb", "#30363d", "#6b7280")}
    schemes = []
    for scheme, (paper, ink, grid, other) in inks.items():
        named = [f".c{number}{{--c:{colour}}}" for number, colour in enumerate(COLOURS[scheme])]
        named += [f".paper{{fill:{paper}}}text{{fill:{ink}}}.axis{{stroke:{ink}}}.grid{{stroke:{grid}}}"]
        named += [f".other{{--c:{other}}}.aim{{stroke:{COLOURS[scheme][1]};stroke-dasharray:5 3}}"]
        schemes.append("".join(named))
    letters = "text{font:12px system-ui,sans-serif}.title{font-size:15px;font-weight:600}"
    shapes = ".line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}.fill{fill:var(--c)}"
    return f"{letters}{shapes}{schemes[0]}@media (prefers-color-scheme:dark){{{schemes[1]}}}"


def _legend(svg: ET.Element, names: Sequence[str]) -> float:
    """Names beside a piece of their lines, in as many rows as they need; answers where the last row ends."""
    x, y = float(LEFT), 46.0
    for number, name in enumerate(names):
        width = 40 + LETTER * len(name)
        if x + width > WIDTH - RIGHT and x > LEFT:
            x, y = float(LEFT), y + 18
        ET.SubElement(svg, "path", {"d": f"M{x:.1f} {y - 4:.1f}h22", **_stroke(number)})
        _text(svg, x + 28, y, name)
        x += width + 12
    return y


def _stroke(number: int) -> dict[str, str]:
    dash = DASHES[number // len(COLOURS["light"]) % len(DASHES)]
    return {"class": f"line c{number % 8}", **({"stroke-dasharray": dash} if dash else {})}


def _line(svg: ET.Element, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
    ends = zip(("x1", "y1", "x2", "y2"), (x1, y1, x2, y2), strict=True)
    ET.SubElement(svg, "line", {**{name: f"{value:.1f}" for name, value in ends}, "class": kind})


def _text(svg: ET.Element, x: float, y: float, text: str, *, anchor: str = "start") -> ET.Element:
    placed = {"x": f"{x:.1f}", "y": f"{y:.1f}", **({"text-anchor": anchor} if anchor != "start" else {})}
    element = ET.SubElement(svg, "text", placed)
    element.text = text
    return element


def _spell(value: float) -> str:
    """Three digits that count, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _write(path: Path, svg: ET.Element) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.indent(svg, " ")
    path.write_text(ET.tostring(svg, encoding="unicode") + "\n", "utf-8")
