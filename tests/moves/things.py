"""What the plain model knows of a run, a job, a worker and a chord; and its time, which is made and not waited for."""

from __future__ import annotations

from dataclasses import dataclass, field

from taglane.model.run import ENDED

TASK, ENVELOPE = "shop.task", "{}"
ALONE_AFTER, MAX_DEATHS = 2, 3
MOST_TRIES = 20
FAILING = 3

PAST, LATER = 10**9, 10**15
"""No instant of the model lies between these two: what is below PAST has come, what is not is far away."""

Lease = tuple[str, int]
"""A run's id and the token by which a worker holds it."""


@dataclass
class Run:
    """A run is in one `place`: queue, delayed, parked, leased, replaced (its successors are to come), ended or dead."""

    id: str
    tag: str
    step: int
    place: str = ""
    state: str = ""
    holder: str = ""
    token: int = 0
    attempts: int = 0
    deaths: int = 0
    rescues: int = 0
    at: int = 0
    """When it is to be queued, of a delayed one."""
    expires: int = 0
    expiring: bool = False
    """Whether it stands among those that may expire: not while it is leased, once that was looked at."""
    started: bool = False
    last: bool = False
    """Whether one death is its last."""
    replacing: bool = False
    cancel: str = ""
    deps: bool = False
    job: str = ""
    due: str = ""
    """The instant for which it was fired, with the job's creation: two runs never share one."""
    loose: bool = False
    """Whether it may go beside others of its job: it was triggered, replayed, or its job allows that."""
    part: tuple[str, str] | None = None
    """Which part of which chord it is, as its worker says it."""
    join: str = ""
    ended: str = ""
    """Of a follow-up: how the run has ended whose dependants it tells."""
    replayed: str = ""
    has_envelope: bool = True
    tries: list[tuple[int, str]] = field(default_factory=list)
    why: str = ""
    """What its error has to name."""

    @property
    def goes(self) -> bool:
        return self.state not in ENDED

    @property
    def is_late(self) -> bool:
        return 0 < self.expires < PAST


@dataclass
class Log:
    """What a run has logged, of which attempt; its lines are numbered anew in each."""

    token: int = 0
    heard: int = 0
    dropped: int = 0
    lost: int = 0
    lines: list[str] = field(default_factory=list)


@dataclass
class Job:
    created: int
    tag: str
    step: int
    stamp: str = ""
    """When it was made, as the server says it."""
    revision: int = 0
    overlap: str = "skip"
    after: bool = False
    expires: bool = False
    no_worker: str = ""
    paused: bool = False
    due: int | None = None
    last: str = ""
    made: list[str] = field(default_factory=list)
    """Runs that it made, skipped ones too: the last hundred are found by its name."""
    streak: int = 0
    """How many of its runs were unwell in a row."""
    asked: bool = False
    """Whether somebody wants it to be due again, when it has a fixed delay."""


@dataclass
class Worker:
    seq: int = 0
    beat: int = 0
    tags: frozenset[str] = frozenset()
    taken: list[Lease] = field(default_factory=list)


@dataclass
class Chord:
    join: str = ""
    tag: str = ""
    step: int = 0
    size: int | None = None
    count: int = 0
    parts: set[str] = field(default_factory=set)
    started: bool = False
