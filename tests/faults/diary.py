"""Reads what the tasks wrote down, and judges which executions were one too many."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class Entry(NamedTuple):
    """One line: a run's start or end in a process, on the machine's monotonic clock, s."""

    what: str
    run: str
    pid: int
    at: float


class Diary:
    """The file that the tasks of one scene write, read on from where it was read before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0
        self._entries: list[Entry] = []

    def entries(self) -> list[Entry]:
        """All that is written by now, in the order of writing."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        self._read += len(text)
        for line in text.decode("ascii").splitlines():
            what, run, pid, at = line.split()
            self._entries.append(Entry(what, run, int(pid), float(at)))
        return self._entries

    def first_start(self, after: float, *, within: Iterable[int] = (), without: Iterable[int] = ()) -> Entry | None:
        """The first start after an instant: in one of these processes, where any are named, and not in those."""
        inside, outside = set(within), set(without)
        for entry in self.entries():
            if entry.what == "start" and entry.at > after and entry.pid not in outside:
                if inside and entry.pid not in inside:
                    continue
                return entry
        return None

    def executing(self, pids: Iterable[int]) -> list[Entry]:
        """The starts in these processes that have no end yet."""
        among, open_starts = set(pids), {}
        for entry in self.entries():
            if entry.pid in among:
                if entry.what == "start":
                    open_starts[entry.run, entry.pid] = entry
                else:
                    open_starts.pop((entry.run, entry.pid), None)
        return list(open_starts.values())


@dataclass(frozen=True, slots=True)
class Repeats:
    """Executions that were not the run's last, by why there was another."""

    cut_off: int = 0
    """Its process fell while it executed: nobody can know how far it came."""
    unsaid: int = 0
    """Its process fell after its end, before the server had heard of it."""
    excess: int = 0
    """Its process was well: it should have been the only one."""


def judge(entries: Iterable[Entry], fallen: Mapping[int, float]) -> Repeats:
    """Judge every repeated execution; *fallen* says when which process was killed, or stopped for too long. Pure."""
    starts: dict[str, list[Entry]] = defaultdict(list)
    ends: dict[tuple[str, int], list[float]] = defaultdict(list)
    for entry in entries:
        if entry.what == "start":
            starts[entry.run].append(entry)
        else:
            ends[entry.run, entry.pid].append(entry.at)
    cut_off = unsaid = excess = 0
    for run, executions in starts.items():
        for execution in sorted(executions, key=lambda entry: entry.at)[:-1]:
            fell = fallen.get(execution.pid)
            ended = min((at for at in ends[run, execution.pid] if at >= execution.at), default=None)
            if fell is None or fell < execution.at:
                excess += 1
            elif ended is None or ended > fell:
                cut_off += 1
            else:
                unsaid += 1
    return Repeats(cut_off, unsaid, excess)


def median(values: Iterable[float]) -> float:
    """The middle one, the upper of two."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
