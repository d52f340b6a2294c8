"""Estimates how much of the server's memory a tenant's data takes, at a cost that does not grow with the data.

The server is asked for the size of each index (runs, queues, due, …), which it estimates itself, and for the sizes of a
few members, drawn at random, of what an index names (runs, jobs); their mean, times how many there are, is the rest.
Nothing is scanned: keys that no index names (what a tenant has written beside them, idempotency keys, ledgers) are not
in the figure. Of ordinary runs it is 0.8 to 1.0 of what the server grew by, on Valkey 9 and on Redis 7. A few runs that
are much larger than the others may be missed by one estimate, and caught by the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoPermissionError
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taglane.store.server import Server

    Command = tuple[Any, ...]

SAMPLED_RUNS = 24
SAMPLED_NAMES = 8
"""Jobs, tags and jobs with runs parked that are looked at, each."""

_FIELDS = 64
"""Fields of one run or job that the server looks at: it has fewer, and of the five that are the server's own choice
the one that holds the params may be none."""

_LONGEST_MEMBER = 1_024
"""Bytes: of an index whose members are longer than ours on average, none is fetched."""

_AT_REST: tuple[Callable[[str], str], ...] = (keys.due, keys.jobs)
"""The indexes of a tenant that has jobs, and of whom nothing runs or waits, nor did of late."""

_AT_WORK: tuple[Callable[[str], str], ...] = (
    *(keys.leases, keys.workers, keys.waiting, keys.skipped, keys.expiring, keys.ended, keys.unwell),
    *(keys.dead, keys.aside, keys.tags, keys.runs, keys.logs),
)


@dataclass(frozen=True, slots=True)
class _Family:
    """Keys that an index names: how it is counted and drawn from, and which keys a member stands for."""

    index: Callable[[str], str]
    count: str
    draw: str
    most: int
    of: Callable[[str, str], Sequence[str]]


def _of_tag(tenant: str, tag: str) -> Sequence[str]:
    return [*(keys.queue(tenant, tag, step) for step in keys.STEPS), keys.delayed(tenant, tag)]


def _of_run(tenant: str, run: str) -> Sequence[str]:
    return [keys.run(tenant, run), keys.log(tenant, run)]


def _of_job(tenant: str, job: str) -> Sequence[str]:
    return [keys.job(tenant, job), keys.last(tenant, job)]


_FAMILIES = (
    _Family(keys.runs, "ZCARD", "ZRANDMEMBER", SAMPLED_RUNS, _of_run),
    _Family(keys.jobs, "ZCARD", "ZRANDMEMBER", SAMPLED_NAMES, _of_job),
    _Family(keys.waiting, "SCARD", "SRANDMEMBER", SAMPLED_NAMES, lambda tenant, job: [keys.parked(tenant, job)]),
    _Family(keys.tags, "SCARD", "SRANDMEMBER", SAMPLED_NAMES, _of_tag),
)


@dataclass(slots=True)
class _Draft:
    """What is known of one tenant so far."""

    alone: int = 0
    counts: dict[_Family, int] = field(default_factory=dict)
    sizes: list[tuple[_Family, str]] = field(default_factory=list)
    """Families that are worth drawing from, each with its index's key."""


class Footprints:
    """Estimates for tenants of one server. Takes the operator's credential."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def measure(self, tenants: Sequence[str]) -> dict[str, int | None]:
        """Return the bytes of each tenant's data, in four round trips; None where the server won't say.

        Raises:
            ServerUnavailable: no answer.
        """
        drafts = self._indexes(tenants)
        drawn = self._draw(drafts)
        totals: dict[str, int | None] = {
            tenant: None if draft is None else draft.alone for tenant, draft in drafts.items()
        }
        asked = [
            (tenant, family, len(members), key)
            for tenant, family, members in drawn
            for member in members
            for key in family.of(tenant, member)
        ]
        answers = self._ask(("MEMORY", "USAGE", key, "SAMPLES", _FIELDS) for *_, key in asked)
        sums: dict[tuple[str, _Family], list[int]] = {}
        for (tenant, family, members, _), size in zip(asked, map(_count, answers), strict=True):
            sums.setdefault((tenant, family), [0, members])[0] += size
        for (tenant, family), (size, members) in sums.items():
            draft = drafts[tenant]
            if draft is not None:
                totals[tenant] = (totals[tenant] or 0) + round(size / members * draft.counts[family])
        return totals

    def _indexes(self, tenants: Sequence[str]) -> dict[str, _Draft | None]:
        """Ask for the size of every index that is there, and for the number of its members."""
        at_work = self._ask(("EXISTS", *(key(tenant) for key in _AT_WORK)) for tenant in tenants)
        indexes = [_AT_REST + _AT_WORK if _count(there) else _AT_REST for there in at_work]
        answers = iter(
            self._ask(command for pair in zip(tenants, indexes, strict=True) for command in _questions(*pair))
        )
        drafts: dict[str, _Draft | None] = {}
        for tenant, own in zip(tenants, indexes, strict=True):
            families = [family for family in _FAMILIES if family.index in own]
            answer = list(islice(answers, len(own) + len(families)))
            if isinstance(answer[0], NoPermissionError):
                drafts[tenant] = None
                continue
            sizes = dict(zip(own, map(_count, answer), strict=False))
            draft = drafts[tenant] = _Draft(alone=sum(sizes.values()))
            for family, count in zip(families, map(_count, answer[len(own) :]), strict=True):
                draft.counts[family] = count
                if count and sizes[family.index] <= count * _LONGEST_MEMBER:
                    draft.sizes.append((family, family.index(tenant)))
        return drafts

    def _draw(self, drafts: dict[str, _Draft | None]) -> list[tuple[str, _Family, list[str]]]:
        """Draw members of each index."""
        wanted = [
            (tenant, family, key)
            for tenant, draft in drafts.items()
            if draft is not None
            for family, key in draft.sizes
        ]
        answers = self._ask((family.draw, key, family.most) for _, family, key in wanted)
        return [
            (tenant, family, [member.decode() for member in answer if member.isascii()])
            for (tenant, family, _), answer in zip(wanted, answers, strict=True)
            if isinstance(answer, list)
        ]

    def _ask(self, commands: Iterator[Command]) -> list[Any]:
        with self._server.renamed("measuring memory", operator=True):
            pipeline: Any = self._server.redis.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
            return answers


def _questions(tenant: str, indexes: Sequence[Callable[[str], str]]) -> Iterator[Command]:
    for key in indexes:
        yield "MEMORY", "USAGE", key(tenant)
    for family in _FAMILIES:
        if family.index in indexes:
            yield family.count, family.index(tenant)


def _count(answer: Any) -> int:
    """Read a number: a key that is not there, or not what it should be, has none."""
    return answer if isinstance(answer, int) else 0
