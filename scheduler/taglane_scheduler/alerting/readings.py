"""Reads of tenants what rules ask for, and no more: a few commands a tenant, pipelined; nothing is scanned."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoPermissionError, ResponseError
from taglane.model.standing import TenantStanding
from taglane.model.usage import day_of, key_day
from taglane.store import keys

from taglane_scheduler.alerting.judge import BadRun, Growth, Reading
from taglane_scheduler.alerting.rules import BACKLOG

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import Protocol

    from taglane.store.server import Server

    from taglane_scheduler.alerting.rules import AlertRule

    Command = tuple[Any, ...]

    class Standings(Protocol):
        """What tells how tenants stand."""

        def read(self, tenants: Sequence[str]) -> Sequence[TenantStanding]:
            """Return how these tenants stand, in their order."""


MOST_RUNS = 500
"""Runs of one tenant that are looked at, or as many as a rule's threshold: what is found is then as many at least."""

MOST_JOBS = 100
"""Jobs of one tenant that are late, or fail in a row, of which is told."""

_REMEMBERED = 50_000


class Readings:
    """Reads tenants. For one thread: it remembers how runs ended, and what counters have shown.

    Args:
        server: with the operator's credential.
        standings: how tenants stand.
    """

    def __init__(self, server: Server, standings: Standings) -> None:
        self._server = server
        self._standings = standings
        self._ended: dict[tuple[str, str], tuple[str, str]] = {}
        self.growth = Growth()

    def read(self, rules: dict[str, list[AlertRule]], now: int) -> dict[str, Reading]:
        """Return what was read of these tenants for their rules; one that can't be read is left out.

        Raises:
            ServerUnavailable: no answer.
        """
        standings = self._stand([tenant for tenant, own in rules.items() if any(map(_takes_standing, own))])
        asked: list[tuple[str, str, Command]] = []
        for tenant, own in rules.items():
            asked += [(tenant, what, command) for what, command in _commands(tenant, own, now)]
        answers = self._ask([command for _, _, command in asked])
        found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        spoiled = {tenant for tenant, standing in standings.items() if not standing.readable}
        for (tenant, what, _), answer in zip(asked, answers, strict=True):
            if isinstance(answer, Exception):
                spoiled.add(tenant)
            else:
                found[tenant][what] = answer
        sound = [tenant for tenant in rules if tenant not in spoiled]
        self._remember(
            (tenant, run) for tenant in sound for what in ("unwell", "dead") for run, _ in found[tenant].get(what, ())
        )
        return {
            tenant: Reading(
                tenant,
                now,
                standing=standings.get(tenant, TenantStanding(tenant)),
                unwell=self._runs(tenant, found[tenant].get("unwell", ())),
                dead=self._runs(tenant, found[tenant].get("dead", ()), "dead"),
                failing=_scored(found[tenant].get("failing", ())),
                due=_scored(found[tenant].get("due", ())),
            )
            for tenant in sound
        }

    def count_missed(self, counters: Collection[tuple[str, str]], now: int, longest: int) -> set[str]:
        """Take in how many instants were passed over, of (tenant, job or ''); return the tenants that can't be read."""
        today, before = day_of(now), day_of(now) - timedelta(days=1)
        wanted = list(counters)
        answers = self._ask([_missed(tenant, job, key_day(day)) for tenant, job in wanted for day in (today, before)])
        spoiled: set[str] = set()
        for number, counter in enumerate(wanted):
            pair = answers[2 * number : 2 * number + 2]
            if any(isinstance(each, Exception) for each in pair):
                spoiled.add(counter[0])
                continue
            self.growth.take(counter, key_day(today), _number(pair[0]), _number(pair[1]), now)
        self.growth.keep(wanted, now, longest)
        return spoiled

    def _stand(self, tenants: Sequence[str]) -> dict[str, TenantStanding]:
        return {each.tenant: each for each in self._standings.read(tenants)} if tenants else {}

    def _remember(self, runs: Iterable[tuple[str, bytes]]) -> None:
        """Read of which job runs are, and how they ended: once, since that does not change any more."""
        if len(self._ended) > _REMEMBERED:
            self._ended.clear()
        named = ((tenant, run.decode(errors="replace")) for tenant, run in runs)
        asked = [run for run in dict.fromkeys(named) if run not in self._ended]
        answers = self._ask([("HMGET", keys.run(*run), "job", "state") for run in asked])
        for run, answer in zip(asked, answers, strict=True):
            job, state = (None, None) if isinstance(answer, Exception) else answer
            self._ended[run] = (
                (job or b"").decode(errors="replace")[:64],
                (state or b"").decode(errors="replace")[:16],
            )

    def _runs(self, tenant: str, found: Sequence[tuple[bytes, float]], state: str = "") -> list[BadRun]:
        runs = []
        for run, ended in _scored(found):
            job, known = self._ended.get((tenant, run), ("", ""))
            runs.append(BadRun(run, job, state or known, ended))
        return runs

    def _ask(self, commands: Sequence[Command]) -> list[Any]:
        """Ask all at once; where a tenant has made something else of a key, the answer is the error."""
        if not commands:
            return []
        with self._server.renamed("reading for the alert rules", operator=True):
            pipeline: Any = self._server.redis.pipeline(transaction=False)
            for command in commands:
                _add(pipeline, command)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
            for answer in answers:
                if isinstance(answer, Exception) and not (
                    isinstance(answer, ResponseError) and not isinstance(answer, NoPermissionError)
                ):
                    raise answer
        return answers


def _commands(tenant: str, rules: Sequence[AlertRule], now: int) -> list[tuple[str, Command]]:
    found: list[tuple[str, Command]] = []
    windows = [(rule.on, rule.within, rule.count) for rule in rules if _counts_runs(rule)]
    if windows:
        most = max(MOST_RUNS, *(count for _, _, count in windows))
        since = now - max(within for _, within, _ in windows)
        found.append(("dead", ("newest", keys.dead(tenant), since, most)))
        if any(on == "failed" for on, _, _ in windows):
            found.append(("unwell", ("newest", keys.unwell(tenant), since, most)))
    rows = [rule.count for rule in rules if rule.in_a_row]
    if rows:
        found.append(("failing", ("lowest", keys.failing(tenant), min(rows), "+inf")))
    late = [rule.lasting for rule in rules if rule.on == "late"]
    if late:
        found.append(("due", ("lowest", keys.due(tenant), "-inf", now - min(late))))
    return found


def _add(pipeline: Any, command: Command) -> None:
    match command:
        case ("newest", key, since, most):
            pipeline.zrange(key, "+inf", since, desc=True, byscore=True, offset=0, num=most, withscores=True)
        case ("lowest", key, low, high):
            pipeline.zrange(key, low, high, byscore=True, offset=0, num=MOST_JOBS, withscores=True)
        case _:
            pipeline.execute_command(*command)


def _missed(tenant: str, job: str, day: str) -> Command:
    if job:
        return ("HGET", keys.job_ledger(tenant, day), f"{job}|missed")
    return ("HGET", keys.ledger(tenant, day), "missed")


def _counts_runs(rule: AlertRule) -> bool:
    return rule.on in {"failed", "dead_letter"} and not rule.in_a_row


def _takes_standing(rule: AlertRule) -> bool:
    return rule.on in BACKLOG or rule.on == "late"


def _scored(found: Sequence[tuple[bytes, float]]) -> list[tuple[str, int]]:
    return [(name.decode(errors="replace")[:200], int(score)) for name, score in found if abs(score) < 2**53]


def _number(value: bytes | None) -> int:
    return int(value) if value and value.isdigit() and len(value) < 16 else 0
