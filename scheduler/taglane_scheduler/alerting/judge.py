"""Decides what a rule finds wrong with a tenant, by what was read of it. Pure.

What is read of a tenant is its own to spoil: a name that can't be one is passed over.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taglane.errors import BadName
from taglane.model.duration import format_duration
from taglane.model.names import check_job, check_run_id, check_tag
from taglane.model.standing import TenantStanding

from taglane_scheduler.alerting.incidents import Finding
from taglane_scheduler.alerting.rules import STANDING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Protocol

    from taglane.model.standing import TagStanding

    from taglane_scheduler.alerting.rules import AlertRule

    class Alert(Protocol):
        """What schedulers found wrong by themselves."""

        @property
        def kind(self) -> str:
            """What it is about."""

        @property
        def tenant(self) -> str:
            """Whom; empty when it is nobody's alone."""

        @property
        def subject(self) -> str:
            """Which of the tenant's things."""

        @property
        def text(self) -> str:
            """What to say of it."""

        @property
        def since(self) -> int:
            """Since when, ms."""


MOST_FOUND = 50
"""Subjects that one rule finds in one tenant: of more, the first."""

BAD = frozenset({"failed", "expired", "dead"})
"""How runs end that `failed` counts."""


@dataclass(frozen=True, slots=True)
class BadRun:
    """A run that ended, and not well."""

    id: str
    job: str
    state: str
    ended: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a tenant at *now*, ms; each field only where a rule asks for it."""

    tenant: str
    now: int
    standing: TenantStanding = field(default_factory=lambda: TenantStanding(""))
    unwell: Sequence[BadRun] = ()
    """The last ones, the newest first."""
    dead: Sequence[BadRun] = ()
    failing: Sequence[tuple[str, int]] = ()
    """Jobs, and how many of their last runs failed in a row."""
    due: Sequence[tuple[str, int]] = ()
    """Jobs, and since when they are due, ms; the first ones."""


def find(rule: AlertRule, reading: Reading) -> list[Finding]:
    """Return what a rule finds in a tenant, of the kinds that are read here: not missed, and no standing alerts."""
    found = list(_FINDERS[rule.on](rule, reading))
    return found[:MOST_FOUND]


def find_standing(rule: AlertRule, alerts: Iterable[Alert], now: int) -> Iterator[Finding]:
    """Yield what a rule finds among the alerts that schedulers have raised."""
    if rule.on not in STANDING:
        return
    for alert in alerts:
        if alert.kind != rule.on or not rule.is_about(alert.tenant) or (rule.tag and alert.subject != rule.tag):
            continue
        if now - alert.since >= rule.lasting:
            command = alert.text.rpartition(":  ")[2] if ":  " in alert.text else ""
            text = alert.text.removesuffix(f":  {command}") if command else alert.text
            yield Finding(
                rule.id,
                rule.on,
                alert.tenant,
                alert.subject,
                text,
                command=command or "taglane alerts",
                since=alert.since,
            )


def find_missed(rule: AlertRule, tenant: str, grown: int) -> Iterator[Finding]:
    """Yield what is wrong when so many instants were passed over within the window of a rule."""
    if grown >= rule.count:
        what = f"{_plural(grown, 'due instant')} of {f'job {rule.job}' if rule.job else 'its jobs'}"
        text = f"{what} passed over within {format_duration(rule.within)}"
        yield Finding(rule.id, rule.on, tenant, rule.job, text, grown, f"taglane usage --tenant {tenant}")


def _failed(rule: AlertRule, reading: Reading) -> Iterator[Finding]:
    if rule.in_a_row:
        yield from _in_a_row(rule, reading)
        return
    since = reading.now - rule.within
    runs = [each for each in (*reading.unwell, *reading.dead) if each.state in BAD and each.ended > since]
    yield from _counted(rule, reading, runs, "failed", "failed,expired,dead")


def _dead_letter(rule: AlertRule, reading: Reading) -> Iterator[Finding]:
    since = reading.now - rule.within
    yield from _counted(rule, reading, [each for each in reading.dead if each.ended > since], "given up", "dead")


def _counted(rule: AlertRule, reading: Reading, runs: Iterable[BadRun], how: str, states: str) -> Iterator[Finding]:
    by: defaultdict[str, list[BadRun]] = defaultdict(list)
    for run in runs:
        if not rule.job:
            by[""].append(run)
        elif run.job and rule.has_job(run.job) and _is_job(run.job):
            by[run.job].append(run)
    for job in sorted(by):
        count = len(by[job])
        if count >= rule.count:
            last = max(by[job], key=lambda run: run.ended)
            whose = f" of job {job}" if job else ""
            text = f"{_plural(count, 'run')}{whose} {how} within {format_duration(rule.within)}{_last(last.id)}"
            since = min(run.ended for run in by[job])
            query = f"tenant:{reading.tenant}{f' job:{job}' if job else ''} state:{states}"
            yield Finding(rule.id, rule.on, reading.tenant, job, text, count, f"taglane run list '{query}'", since)


def _in_a_row(rule: AlertRule, reading: Reading) -> Iterator[Finding]:
    for job, streak in reading.failing:
        if streak >= rule.count and rule.has_job(job) and _is_job(job):
            text = f"the last {streak} runs of job {job} failed"
            command = f"taglane run list 'tenant:{reading.tenant} job:{job}'"
            yield Finding(rule.id, rule.on, reading.tenant, job, text, streak, command)


def _late(rule: AlertRule, reading: Reading) -> Iterator[Finding]:
    if reading.standing.state:  # a paused or draining tenant fires nothing: an operator's doing
        return
    for job, due in reading.due:
        late = reading.now - due
        if late > rule.lasting and _is_job(job) and (not rule.job or rule.has_job(job)):
            text = f"job {job} was due {_age(late)} ago and was not fired"
            command = f"taglane job show {job} --tenant {reading.tenant}"
            yield Finding(rule.id, rule.on, reading.tenant, job, text, 1, command, due)


def _queue_older(rule: AlertRule, reading: Reading) -> Iterator[Finding]:
    for tag in _tags(rule, reading):
        if tag.oldest is not None and tag.oldest > rule.lasting:
            text = f"{_plural(tag.queued, 'run')} waiting for tag {tag.tag}, the oldest for {_age(tag.oldest)}"
            yield _of_tag(rule, reading, tag, text, reading.now - tag.oldest)


def _queue_longer(rule: AlertRule, reading: Reading) -> Iterator[Finding]:
    for tag in _tags(rule, reading):
        if tag.queued > rule.count:
            text = f"{_plural(tag.queued, 'run')} waiting for tag {tag.tag}, more than {rule.count}"
            yield _of_tag(rule, reading, tag, text, None)


def _over_limit(rule: AlertRule, reading: Reading) -> Iterator[Finding]:
    if reading.standing.at_limit:
        text = f"runs wait because the tenant is at its limit: {reading.standing.running} are executed"
        tenant = reading.tenant
        yield Finding(rule.id, rule.on, tenant, "", text, 1, f"taglane tenant limit {tenant}")


def _tags(rule: AlertRule, reading: Reading) -> Iterator[TagStanding]:
    return (tag for tag in reading.standing.tags if rule.tag in ("", tag.tag) and _is_name(check_tag, tag.tag))


def _of_tag(rule: AlertRule, reading: Reading, tag: TagStanding, text: str, since: int | None) -> Finding:
    command = f"taglane queue list --tenant {reading.tenant}"
    return Finding(rule.id, rule.on, reading.tenant, tag.tag, text, tag.queued, command, since)


_FINDERS = {
    "failed": _failed,
    "dead_letter": _dead_letter,
    "late": _late,
    "queue_older": _queue_older,
    "queue_longer": _queue_longer,
    "over_limit": _over_limit,
}

READ = frozenset(_FINDERS)
"""Kinds for which tenants are read."""


class Growth:
    """How much counters have grown within a window, by what was read of them now and then. For one thread."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._last: dict[tuple[str, str], tuple[str, int]] = {}

    def take(self, counter: tuple[str, str], day: str, today: int, yesterday: int, now: int) -> None:
        """Take in what a counter of a day shows, and that of the day before."""
        seen = self._seen.setdefault(counter, [])
        if counter in self._last:
            last_day, last = self._last[counter]
            grown = today - last if day == last_day else max(0, yesterday - last) + today
            if grown > 0:
                seen.append((now, grown))
        self._last[counter] = (day, today)

    def within(self, counter: tuple[str, str], window: int, now: int) -> int:
        """Return by how much it has grown in the last *window*, ms, as far as it was watched."""
        return sum(grown for at, grown in self._seen.get(counter, []) if at > now - window)

    def keep(self, counters: Iterable[tuple[str, str]], now: int, longest: int) -> None:
        """Forget all counters but these, and what is longer ago than *longest*, ms."""
        wanted = set(counters)
        for counter in self._seen.keys() - wanted:
            del self._seen[counter]
            self._last.pop(counter, None)
        for counter, seen in self._seen.items():
            if seen and seen[0][0] <= now - longest:
                self._seen[counter] = [each for each in seen if each[0] > now - longest]


def _is_job(name: str) -> bool:
    return _is_name(check_job, name)


def _is_name(check: Callable[[str], str], name: str) -> bool:
    try:
        check(name)
    except BadName:
        return False
    return True


def _last(run: str) -> str:
    return f", last {run}" if _is_name(check_run_id, run) else ""


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _age(milliseconds: int) -> str:
    return format_duration(max(0, milliseconds) // 1000 * 1000)
