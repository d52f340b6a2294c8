"""What a process and its descendants use, as Linux counts it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Processor seconds of all that live; those that ended are counted where a living parent has waited for them."""
    return sum(_cpu(each) for each in descend(pid)) / TICKS


def memory(pid: int) -> tuple[float, float, int]:
    """RSS and PSS in MB, and how many processes: PSS counts shared pages once."""
    sizes = [_sizes(each) for each in descend(pid)]
    return sum(rss for rss, _ in sizes) / 1024, sum(pss for _, pss in sizes) / 1024, len(sizes)


def descend(pid: int) -> Iterator[int]:
    """The process, and all that came of it and live."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(children).split():
            yield from descend(int(child))


def _cpu(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15])


def _sizes(pid: int) -> tuple[int, int]:
    lines = _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()[1:]
    sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return sizes.get("Rss", 0), sizes.get("Pss", 0)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:  # it ended meanwhile
        return ""
