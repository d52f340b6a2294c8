"""What rules find wrong with a tenant, by what was read of it: pure decisions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.model.standing import TagStanding, TenantStanding
from taglane_scheduler.alerting.judge import MOST_FOUND, BadRun, Growth, Reading, find, find_missed, find_standing
from taglane_scheduler.alerting.rules import AlertRule, make_rule
from taglane_scheduler.care.alerts import Alert

NOW = 100_000_000
MINUTE = 60_000


def rule(on: str, **fields: Any) -> AlertRule:
    return make_rule(**{"name": "r", "on": on, "channels": ["ops"], **fields})


def bad(number: int, job: str = "report", state: str = "failed", ago: int = MINUTE) -> BadRun:
    return BadRun(f"acme.{number}", job, state, NOW - ago)


def found(made: AlertRule, **read: Any) -> list[tuple[str, int]]:
    """Subjects and counts."""
    return [(each.subject, each.count) for each in find(made, Reading("acme", NOW, **read))]


def test_failures_are_counted_for_each_job() -> None:
    """Those that a rule names, within its window; of how they ended, what is no success and nobody's wish."""
    runs = [bad(1), bad(2, state="expired"), bad(3, "bill"), bad(4, state="cancelled"), bad(5, ago=20 * MINUTE)]
    dead = [bad(6, state="dead")]

    assert [("report", 3)] == found(rule("failed", job="*", threshold=2), unwell=runs, dead=dead)
    assert [("bill", 1), ("report", 3)] == found(rule("failed", job="*"), unwell=runs, dead=dead)
    assert [("bill", 1)] == found(rule("failed", job="b*"), unwell=runs, dead=dead)
    assert [("report", 4)] == found(rule("failed", job="report", window="1h"), unwell=runs, dead=dead)
    assert [] == found(rule("failed", job="report2"), unwell=runs, dead=dead)


def test_without_a_job_all_runs_count_together() -> None:
    """Also those that no job made."""
    runs = [bad(1), bad(2, "bill"), bad(3, "")]
    assert [("", 3)] == found(rule("failed", threshold=3), unwell=runs)
    assert [] == found(rule("failed", threshold=4), unwell=runs)
    assert [] == found(rule("failed", job="*", threshold=2), unwell=runs)


def test_dead_letters_are_counted() -> None:
    """And no other run."""
    dead = [bad(1, state="dead"), bad(2, "", state="dead")]
    assert [("", 2)] == found(rule("dead_letter", threshold=2), unwell=[bad(3)], dead=dead)
    assert [("report", 1)] == found(rule("dead_letter", job="*"), dead=dead)
    assert [] == found(rule("dead_letter"), unwell=[bad(3)])


def test_a_finding_says_what_and_how_to_see_it() -> None:
    """In one line, with a command that can be typed."""
    made = rule("failed", job="*", threshold=2)
    (finding,) = find(made, Reading("acme", NOW, unwell=[bad(1), bad(2, ago=2 * MINUTE)]))
    assert "2 runs of job report failed within 10m, last acme.1" == finding.text
    assert "taglane run list 'tenant:acme job:report state:failed,expired,dead'" == finding.command
    assert ("/r", "failed", "acme", NOW - 2 * MINUTE) == (finding.rule, finding.kind, finding.tenant, finding.since)


def test_a_row_of_failures() -> None:
    """As the server counts it."""
    failing = [("report", 3), ("bill", 7)]
    assert [("report", 3), ("bill", 7)] == found(rule("failed", in_a_row=True, job="*"), failing=failing)
    assert [("bill", 7)] == found(rule("failed", in_a_row=True, job="*", threshold=5), failing=failing)
    assert [("report", 3)] == found(rule("failed", in_a_row=True, job="report"), failing=failing)


def test_a_job_that_is_not_fired_is_late() -> None:
    """Unless its tenant was told to stand still."""
    due = [("report", NOW - 5 * MINUTE), ("bill", NOW - 10_000)]
    assert [("report", 1)] == found(rule("late"), due=due)
    assert [] == found(rule("late", after="10m"), due=due)
    assert [("bill", 1)] == found(rule("late", job="bill", after="5s"), due=due)
    for state in ("paused", "draining"):
        assert [] == found(rule("late"), due=due, standing=TenantStanding("acme", state=state))


def test_a_backlog() -> None:
    """Of each tag, or of one: how long it is, and how long its first run has waited."""
    tags = (TagStanding("acme", queued=5, oldest=MINUTE), TagStanding("acme.gpu", queued=50, oldest=10 * MINUTE))
    standing = TenantStanding("acme", tags=tags, at_limit=True, running=4)
    assert [("acme.gpu", 50)] == found(rule("queue_older"), standing=standing)
    assert [("acme", 5), ("acme.gpu", 50)] == found(rule("queue_older", after="30s"), standing=standing)
    assert [("acme", 5)] == found(rule("queue_longer", threshold=4, tag="acme"), standing=standing)
    assert [] == found(rule("queue_longer", threshold=50), standing=standing)
    assert [("", 1)] == found(rule("over_limit"), standing=standing)
    assert [] == found(rule("over_limit"), standing=TenantStanding("acme"))


@pytest.mark.parametrize("name", ["", "a b", "\x1b[2J", "x" * 200, "<b>", "a\nb"])
def test_a_name_that_can_be_none_is_passed_over(name: str) -> None:
    """A tenant's keys hold what it likes: its names are said aloud."""
    assert [] == found(rule("failed", job="*"), unwell=[bad(1, name)])
    assert [] == found(rule("failed", job="*", in_a_row=True), failing=[(name, 9)])
    assert [] == found(rule("late", job="*"), due=[(name, 1)])
    assert [] == found(rule("queue_longer", threshold=1), standing=TenantStanding("acme", tags=(TagStanding(name, 9),)))
    (finding,) = find(rule("failed"), Reading("acme", NOW, unwell=[BadRun(f"{name} \n", "", "failed", NOW)]))
    assert "1 run failed within 10m" == finding.text


def test_one_rule_finds_so_many_at_most() -> None:
    """Of the jobs of one tenant."""
    failing = [(f"job-{number}", 3) for number in range(200)]
    assert MOST_FOUND == len(found(rule("failed", in_a_row=True, job="*"), failing=failing))


def test_what_schedulers_found_is_told_by_rule() -> None:
    """By its kind, its tenant, its tag, and for how long it has been so; what is nobody's alone by rules about all."""
    alerts = [
        Alert("no_worker", "acme", "acme.gpu", "3 runs wait:  taglane worker --tag acme.gpu", NOW - MINUTE, NOW),
        Alert("memory", "", "unexplained", "much", NOW, NOW),
    ]

    def of(on: str, **fields: Any) -> list[tuple[str, str, str]]:
        return [(each.tenant, each.text, each.command) for each in find_standing(rule(on, **fields), alerts, NOW)]

    assert [("acme", "3 runs wait", "taglane worker --tag acme.gpu")] == of("no_worker")
    assert 1 == len(of("no_worker", tenant="acme", tag="acme.gpu", after="1m"))
    for fields in ({"tenant": "globex"}, {"tenant": "acme", "tag": "acme"}, {"after": "2m"}):
        assert [] == of("no_worker", **fields)
    assert [("", "much", "taglane alerts")] == of("memory")
    assert [] == of("memory", tenant="acme")
    assert [] == of("late")


def test_missed_instants() -> None:
    """As many as the rule says, of a job or of all."""
    made = rule("missed", threshold=2, job="report")
    assert [] == list(find_missed(made, "acme", 1))
    (finding,) = find_missed(made, "acme", 2)
    assert ("report", "2 due instants of job report passed over within 1h") == (finding.subject, finding.text)


@given(
    steps=st.lists(st.tuples(st.integers(1, 9 * 3_600_000), st.integers(0, 5)), min_size=1, max_size=60),
    window=st.integers(1, 48 * 3_600_000),
)
def test_a_counter_of_days_is_a_counter(steps: list[tuple[int, int]], window: int) -> None:
    """What was counted within the window and since it was watched is known, though it begins anew each midnight."""
    growth, counts, now = Growth(), dict[int, int](), 0
    events: list[tuple[int, int]] = []
    for number, (later, more) in enumerate(steps):
        now += later
        day = now // 86_400_000
        counts[day] = counts.get(day, 0) + more
        if number:
            events.append((now, more))
        growth.take(("acme", ""), str(day), counts[day], counts.get(day - 1, 0), now)
        assert sum(count for at, count in events if at > now - window) == growth.within(("acme", ""), window, now)
        growth.keep([("acme", "")], now, window)
    growth.keep([], now, window)
    assert 0 == growth.within(("acme", ""), window, now)
