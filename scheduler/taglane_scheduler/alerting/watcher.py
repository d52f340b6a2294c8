"""Looks, every few seconds, whether what rules are about is so, and lets incidents begin and end. In its own thread.

Every scheduler does: none leads. What a round finds is compared with how incidents stand; each change is written only
where nobody else was faster. A tenant that can't be read is neither wrong nor well: its incidents stay as they are.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taglane.errors import TaglaneError
from taglane.store import keys

from taglane_scheduler.alerting.incidents import decide
from taglane_scheduler.alerting.judge import READ, find, find_missed, find_standing
from taglane_scheduler.alerting.message import messages_of
from taglane_scheduler.alerting.outbox import MOST_INCIDENTS, MOST_OF_TENANT

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Sequence
    from typing import Protocol

    from taglane.store.server import Server

    from taglane_scheduler.alerting.incidents import Finding, Incident
    from taglane_scheduler.alerting.judge import Alert
    from taglane_scheduler.alerting.outbox import Outbox
    from taglane_scheduler.alerting.readings import Readings
    from taglane_scheduler.alerting.rules import AlertRule, Rules
    from taglane_scheduler.alerting.silences import Silence, Silences

    class Alerts(Protocol):
        """Where schedulers keep what they find wrong by themselves."""

        def list(self, tenant: str | None = None) -> Sequence[Alert]:
            """Return what stands."""


log = logging.getLogger(__name__)

EVERY_S = 5.0
"""Between two rounds, at least."""

FIRST_S = 0.5
"""Before the first."""

COST = 20
"""A round that took long is not begun again before so many times that: five percent of a core, at most."""

BATCH = 100  # tenants that are read in one round trip


@dataclass(slots=True)
class Found:
    """What one round has found. Nothing is known of *undecided*, a rule and a tenant, nor of *unreadable* rules."""

    findings: dict[str, Finding] = field(default_factory=dict)
    undecided: set[tuple[str, str]] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)

    def knows_nothing(self, rule: str, tenant: str) -> bool:
        """Whether what a rule found in a tenant before may be so still."""
        return rule in self.unreadable or (rule, tenant) in self.undecided

    def add(self, findings: Iterable[Finding]) -> None:
        """Take in what was found."""
        self.findings |= {each.key: each for each in findings}


class Room:
    """How many incidents there may be, in all and of each tenant: what one lets happen takes no other's place."""

    def __init__(self, tenants: Iterable[str]) -> None:
        self._of = Counter(tenants)
        self._open = self._of.total()
        self.refused = 0

    def take(self, tenant: str) -> bool:
        """Take a place; False when there is none."""
        if self._open >= MOST_INCIDENTS or self._of[tenant] >= MOST_OF_TENANT:
            self.refused += 1
            return False
        self._open += 1
        self._of[tenant] += 1
        return True

    def give(self, tenant: str) -> None:
        """Give one back."""
        self._open -= 1
        self._of[tenant] -= 1


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did: how many tenants were read, what was found, and how many messages were written."""

    read: int = 0
    findings: tuple[Finding, ...] = ()
    written: int = 0


class Watcher:
    """Evaluates the rules.

    Args:
        server: of its own: with the operator's credential.
        rules: what to look for.
        silences: what is not told of now.
        outbox: where incidents and messages are kept.
        alerts: what schedulers have found by themselves.
        readings: what is read of tenants.
    """

    def __init__(  # noqa: PLR0913 - what it reads, and where it writes
        self, server: Server, *, rules: Rules, silences: Silences, outbox: Outbox, alerts: Alerts, readings: Readings
    ) -> None:
        self._server = server
        self._rules = rules
        self._silences = silences
        self._outbox = outbox
        self._alerts = alerts
        self._readings = readings
        self._first_seen: dict[str, int] = {}
        self._began: dict[tuple[str, str], int] = {}
        self._is_full = False

    def run(self, over: threading.Event) -> None:
        """Go round until *over* is set."""
        wait = FIRST_S
        while not over.wait(wait):
            began = time.monotonic()
            try:
                self.step()
            except TaglaneError as error:  # the scheduler's loop says that the server is gone
                log.debug("rules_not_evaluated error=%s", error)
            except Exception:
                log.exception("rules_failed")
            wait = max(EVERY_S, COST * (time.monotonic() - began))

    def step(self) -> Round:
        """Go round once.

        Raises:
            ServerUnavailable: no answer; what was written before holds.
        """
        listed, unreadable = self._rules.read()
        rules = {key: rule for key, rule in listed.items() if rule.enabled}
        standing = self._outbox.incidents()
        if not rules and not standing:
            return Round()
        now = self._now()
        tenants = self._tenants()
        found, read = Found(unreadable=unreadable), 0
        self._find_missed(rules.values(), tenants, now, found)
        concerned = list(_concerned(rules.values(), tenants).items())
        for start in range(0, len(concerned), BATCH):
            wanted = dict(concerned[start : start + BATCH])
            read += len(wanted)
            readings = self._readings.read(wanted, now)
            for tenant, own in wanted.items():
                if tenant not in readings:
                    found.undecided |= {(rule.id, tenant) for rule in own}
                else:
                    for rule in own:
                        found.add(find(rule, readings[tenant]))
        alerts = self._alerts.list()
        for rule in rules.values():
            found.add(find_standing(rule, alerts, now))
        written = self._settle(rules, standing, found, self._silences.list(), now)
        return Round(read, tuple(found.findings.values()), written)

    def _find_missed(self, rules: Iterable[AlertRule], tenants: Sequence[str], now: int, found: Found) -> None:
        """Counters say how much has grown since they were first read: until then nothing of them is over."""
        missed = [
            (rule, tenant) for rule in rules if rule.on == "missed" for tenant in tenants if rule.is_about(tenant)
        ]
        counters = {(tenant, rule.job) for rule, tenant in missed}
        longest = max((rule.within for rule, _ in missed), default=0)
        spoiled = self._readings.count_missed(counters, now, longest)
        self._began = {counter: self._began.get(counter, now) for counter in counters}
        for rule, tenant in missed:
            findings = list(
                find_missed(rule, tenant, self._readings.growth.within((tenant, rule.job), rule.within, now))
            )
            found.add(findings)
            if not findings and (tenant in spoiled or now - self._began[tenant, rule.job] < rule.within):
                found.undecided.add((rule.id, tenant))

    def _settle(
        self,
        rules: dict[str, AlertRule],
        standing: dict[str, tuple[Incident, bytes]],
        found: Found,
        silences: Sequence[Silence],
        now: int,
    ) -> int:
        """Let incidents begin, go on and end; return how many messages were written."""
        self._first_seen = {key: self._first_seen.get(key, now) for key in found.findings}
        written, room = 0, Room(incident.tenant for incident, _ in standing.values())
        for key in dict.fromkeys([*standing, *found.findings]):
            before, kept = standing.get(key, (None, b""))
            finding = found.findings.get(key)
            named: Any = before or finding
            rule = rules.get(named.rule)
            if finding is None and found.knows_nothing(named.rule, named.tenant):
                continue
            if (before is None or before.state == "over") and self._is_too_soon(finding, rule, now):
                finding = None
            if before is None and (finding is None or not room.take(named.tenant)):
                continue
            owner, _, name = named.rule.partition("/")
            silent = any(silence.covers(owner, name, named.tenant, now) for silence in silences)
            step = decide(before, finding, rule, now=now, silent=silent, new_id=f"{now:x}-{secrets.token_hex(4)}")
            if step.after == before:
                continue
            messages = messages_of(step.after, step.say, step.after.channels, now) if step.after and step.say else []
            if self._outbox.change(key, kept, step.after, messages, now=now):
                if step.after is None:
                    room.give(named.tenant)
                written += len(messages)
                _log(step.after, step.say)
        if room.refused and not self._is_full:
            log.warning("incidents_full refused=%d", room.refused)
        self._is_full = bool(room.refused)
        return written

    def _is_too_soon(self, finding: Finding | None, rule: AlertRule | None, now: int) -> bool:
        """Whether what has no beginning that is known has not been seen for as long as its rule says."""
        if finding is None or rule is None or finding.since is not None:
            return False
        return now - self._first_seen[finding.key] < rule.lasting

    def _tenants(self) -> list[str]:
        with self._server.renamed("reading the tenants", operator=True):
            names: Any = self._server.redis.hkeys(keys.TENANTS)
        return sorted(name.decode(errors="replace") for name in names)

    def _now(self) -> int:
        with self._server.renamed("asking the time"):
            seconds, micros = self._server.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000


def _concerned(rules: Iterable[AlertRule], tenants: Sequence[str]) -> dict[str, list[AlertRule]]:
    """Return the rules for which each tenant is to be read; tenants without any are left out."""
    read = [rule for rule in rules if rule.on in READ]
    for_all = [rule for rule in read if rule.tenant == "*"]
    own: defaultdict[str, list[AlertRule]] = defaultdict(list)
    for rule in read:
        if rule.tenant != "*":
            own[rule.tenant].append(rule)
    found = {tenant: [*for_all, *own.get(tenant, ())] for tenant in tenants}
    return {tenant: some for tenant, some in found.items() if some}


def _log(incident: Incident | None, say: str) -> None:
    if incident is not None and say:
        log.info(
            "incident_told state=%s rule=%s tenant=%s subject=%s text=%s",
            *(say, incident.rule, incident.tenant, incident.subject, incident.text),
        )
