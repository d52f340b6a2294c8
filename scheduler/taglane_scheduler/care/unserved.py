"""Raises an alert while runs wait for a tag that no living worker serves, and ends it when one comes or none waits.

Who is among a tenant's workers lives: the rescue takes a dead one out when it was silent for a lease.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from taglane.errors import BadName, TagNotOwned
from taglane.model.duration import format_duration
from taglane.model.names import SHARED, owner_of, tag_for
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from typing import Protocol

    from taglane.store.server import Server

    class Alert(Protocol):
        """What is known of an alert that stands."""

        @property
        def kind(self) -> str:
            """What it is about."""

        @property
        def tenant(self) -> str:
            """Whom."""

        @property
        def subject(self) -> str:
            """Which of the tenant's things."""

    class Alerts(Protocol):
        """Where alerts are kept, for all schedulers and for whoever reads them."""

        def raise_all(self, kind: str, found: Sequence[tuple[str, str, str]]) -> Sequence[bool]:
            """Let alerts stand, each of a tenant and a subject, with what there is to say now; tell which are new."""

        def end(self, kind: str, tenant: str, subject: str) -> bool:
            """Let it stand no more."""

        def list(self, tenant: str | None = None) -> Sequence[Alert]:
            """Return those that stand."""


log = logging.getLogger(__name__)

KIND = "no_worker"

EVERY_S = 10.0
"""How often a tenant is looked at, at most; and one for which an alert stands, or may have to soon."""

PATIENCE_MS = 5_000
"""How long the oldest run has to have waited: a worker that is replaced takes a moment."""

REFRESH_S = 30.0
"""How often an alert that stands is told how much waits by now."""

BATCH = 64  # watched tenants a step
PLACES = 64  # tags a step that nobody serves, and the rest of a tenant's: those of other tenants come with the next
MOST_TAGS, MOST_WORKERS = 32, 256  # of one tenant: of more, any so many


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a tag that nobody serves."""

    tenant: str
    tag: str
    queued: int
    oldest: int | None
    """For how long, ms, the oldest run has waited; None where that can't be read."""

    @property
    def is_old(self) -> bool:
        """Whether it has waited for longer than a worker takes that is replaced."""
        return self.oldest is None or self.oldest >= PATIENCE_MS

    @property
    def command(self) -> str:
        """What starts a worker for it."""
        return f"taglane worker --tag {self.tag}"

    @property
    def text(self) -> str:
        """What an alert says of it."""
        runs = "1 run waits" if self.queued == 1 else f"{self.queued} runs wait"
        age = "" if self.oldest is None else f", the oldest for {_seconds(self.oldest)}"
        return f"{runs} for tag {self.tag}{age}, and no living worker serves it; start one:  {self.command}"


class Unserved:
    """Looks after the tags of the tenants that it is told of. For one thread.

    Args:
        server: with the operator's credential.
        alerts: where alerts are kept; without, they are logged alone.
        pool_serves: whether a living worker serves a shared tag: those workers are of no tenant.
        clock: monotonic, s.
    """

    def __init__(
        self,
        server: Server,
        alerts: Alerts | None = None,
        pool_serves: Callable[[str], bool] = lambda _: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._alerts = alerts
        self._pool_serves = pool_serves
        self._clock = clock
        self._standing: dict[str, dict[str, float]] | None = None
        self._watched: dict[str, None] = {}  # whoever was looked at longest ago comes first
        self._done: set[str] = set()
        self._ahead: dict[str, None] = {}  # of those watched, who has not been looked at in this turn
        self._turn_ends = clock()

    def step(self, tenants: Iterable[str]) -> list[Waiting]:
        """Look at these tenants, and at some that are watched, each once in `EVERY_S`; return for what alerts stand.

        Raises:
            ServerUnavailable: no answer; the next step looks at them again.
        """
        clock = self._clock()
        if clock >= self._turn_ends:
            self._turn_ends = clock + EVERY_S
            self._done.clear()
            self._ahead = self._watched.copy()
        standing = self._known()
        told = list(tenants)
        self._watched |= dict.fromkeys(tenant for tenant in told if tenant in self._done)  # something has happened
        due = islice(self._ahead, BATCH)
        asked = list(dict.fromkeys([*(tenant for tenant in told if tenant not in self._done), *due]))
        if not asked:
            return []
        with self._server.renamed("reading what waits for whom"):
            unserved, left = self._unserved({tenant: set(standing.get(tenant, ())) for tenant in asked})
            found = self._measure(unserved) if unserved else []
        grave = [each for each in found if each.is_old or each.tag in standing.get(each.tenant, ())]
        self._raise(grave, clock)
        waits = {(each.tenant, each.tag) for each in grave}
        self._watched |= dict.fromkeys(left)
        self._ahead |= dict.fromkeys(left)
        for tenant in [tenant for tenant in asked if tenant not in left]:
            for tag in [tag for tag in standing.get(tenant, ()) if (tenant, tag) not in waits]:
                self._end(tenant, tag)
            self._watched.pop(tenant, None)
            self._ahead.pop(tenant, None)
            self._done.add(tenant)
        self._watched |= dict.fromkeys(each.tenant for each in found)
        return grave

    def _known(self) -> dict[str, dict[str, float]]:
        """The tags for which alerts stand, and when each was told, by tenant; also those of an earlier scheduler."""
        if self._standing is None:
            self._standing = {}
            for alert in self._alerts.list() if self._alerts else ():
                if alert.kind == KIND:
                    self._standing.setdefault(alert.tenant, {})[alert.subject] = 0.0
            self._watched |= dict.fromkeys(self._standing)
            self._ahead |= dict.fromkeys(self._standing)
        return self._standing

    def _raise(self, grave: Iterable[Waiting], clock: float) -> None:
        """Raise alerts in one go: of very many tenants without a worker, one by one, they would keep others waiting."""
        standing = self._known()
        told = [each for each in grave if clock >= standing.get(each.tenant, {}).get(each.tag, -REFRESH_S) + REFRESH_S]
        new = [each.tag not in standing.get(each.tenant, ()) for each in told]
        if self._alerts and told:
            new = [*self._alerts.raise_all(KIND, [(each.tenant, each.tag, each.text) for each in told])]
        for waiting, is_new in zip(told, new, strict=True):
            standing.setdefault(waiting.tenant, {})[waiting.tag] = clock
            if is_new:
                age = "unknown" if waiting.oldest is None else _seconds(waiting.oldest)
                log.warning(
                    "tag_unserved tenant=%s tag=%s queued=%d oldest=%s start=%s",
                    *(waiting.tenant, waiting.tag, waiting.queued, age, waiting.command),
                )

    def _end(self, tenant: str, tag: str) -> None:
        stood = self._alerts.end(KIND, tenant, tag) if self._alerts else True
        standing = self._known()
        del standing[tenant][tag]
        if not standing[tenant]:
            del standing[tenant]
        if stood:
            log.info("tag_served_again tenant=%s tag=%s", tenant, tag)

    def _unserved(self, asked: dict[str, set[str]]) -> tuple[list[tuple[str, str]], list[str]]:
        """Return the tags of these tenants that nobody serves, and the tenants that are left for the next step.

        *asked* names tags to be sure of, by tenant.
        """
        named = self._ask(("SRANDMEMBER", keys.tags(tenant), MOST_TAGS) for tenant in asked)
        tags = {
            tenant: sorted(_sound(tenant, {*asked[tenant], *_texts(found)}))
            for tenant, found in zip(asked, named, strict=True)
        }
        served = self._served([tenant for tenant, some in tags.items() if some])
        unserved: list[tuple[str, str]] = []
        left: list[str] = []
        for tenant, staff in served.items():
            if len(unserved) >= PLACES:
                left.append(tenant)
                continue
            lonely = [tag for tag in tags[tenant] if staff is not None and tag not in staff]
            unserved += [(tenant, tag) for tag in lonely if owner_of(tag) != SHARED or not self._pool_serves(tag)]
        return unserved, left

    def _served(self, tenants: Sequence[str]) -> dict[str, set[str] | None]:
        """Return the tags that the workers of each tenant serve; None where there are too many workers to ask."""
        members = self._ask(("SRANDMEMBER", keys.workers(tenant), MOST_WORKERS + 1) for tenant in tenants)
        workers = [
            (tenant, worker) for tenant, ids in zip(tenants, members, strict=True) for worker in _texts(ids or ())
        ]
        told = self._ask(("HGET", keys.worker(*worker), "tags") for worker in workers)
        served: dict[str, set[str] | None] = {
            tenant: None if len(ids or ()) > MOST_WORKERS else set()
            for tenant, ids in zip(tenants, members, strict=True)
        }
        for (tenant, _), text in zip(workers, told, strict=True):
            staff = served[tenant]
            if staff is not None:
                staff.update((text or b"").decode(errors="replace").split())
        return served

    def _measure(self, places: Sequence[tuple[str, str]]) -> list[Waiting]:
        """Return how much waits in the queues of these tags, where something does, and for how long."""
        queues = [keys.queue(*place, step) for place in places for step in keys.STEPS]
        answers = self._ask(
            [("TIME",), *(("LLEN", each) for each in queues), *(("LINDEX", each, 0) for each in queues)]
        )
        seconds, micros = answers[0]
        now = int(seconds) * 1000 + int(micros) // 1000
        lengths, heads = answers[1 : len(queues) + 1], answers[len(queues) + 1 :]
        tenants = [tenant for tenant, _ in places for _ in keys.STEPS]
        runs = [(tenant, head.decode(errors="replace")) for tenant, head in zip(tenants, heads, strict=True) if head]
        since = dict(zip(runs, self._ask(("HGET", keys.run(*run), "queued_at") for run in runs), strict=True))
        found = []
        for number, (tenant, tag) in enumerate(places):
            own = slice(number * len(keys.STEPS), (number + 1) * len(keys.STEPS))
            ids = [head.decode(errors="replace") for head in heads[own] if head]
            times = [int(at) for at in (since[tenant, each] for each in ids) if at and at.isdigit()]
            queued = sum(length or 0 for length in lengths[own])
            if queued:
                found.append(Waiting(tenant, tag, queued, max(0, now - min(times)) if times else None))
        return found

    def _ask(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Ask all at once; a key of which its tenant has made something else reads as None."""
        pipeline: Any = self._server.redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers = pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception) and not str(answer).startswith("WRONGTYPE"):
                raise answer
        return [None if isinstance(answer, Exception) else answer for answer in answers]


def _texts(found: Iterable[bytes] | None) -> list[str]:
    return [each.decode(errors="replace") for each in found or ()]


def _sound(tenant: str, tags: Collection[str]) -> set[str]:
    """Return those that are tags which a tenant may ask for: its keys may hold anything, and we say them aloud."""
    sound = set()
    for tag in tags:
        try:
            sound.add(tag_for(tenant, tag))
        except (BadName, TagNotOwned):
            continue
    return sound


def _seconds(milliseconds: int) -> str:
    return format_duration(milliseconds // 1000 * 1000)
