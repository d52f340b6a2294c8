from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from taglane.model.names import fired_run_id
from taglane.model.schedule import After, At, Cron, Every, Schedule, to_json
from taglane_scheduler.firing.planner import GRACE_MS, Claim, DueJob, plan

NOW = 1_795_348_800_000  # 2026-11-22T12:00:00Z


def due_job(schedule: Schedule, due: int, name: str = "report") -> DueJob:
    return DueJob(name, due, "3", "1700000000000", to_json(schedule))


def one_claim(schedule: Schedule, due: int, now: int = NOW) -> Claim:
    (claim,) = plan("acme", [due_job(schedule, due)], now=now).claims
    return claim


def test_claim() -> None:
    """A due job is fired for that instant under the id that it implies, and is due next at the following one."""
    claim = one_claim(Every(interval=60_000, anchor=0), NOW)

    run_id = fired_run_id("acme", "report", "1700000000000", NOW)
    assert Claim("report", NOW, "3", NOW + 60_000, run_id) == claim


@given(st.integers(1, 3_600), st.integers(0, 10**7), st.integers(0, 10**7))
def test_next_due_of_a_fixed_rate(seconds: int, before: int, lateness: int) -> None:
    """The next due is the following one on the grid, or, after a miss by more than the grace, the first after now."""
    interval, due = seconds * 1_000, NOW - before
    now = due + lateness

    claim = one_claim(Every(interval=interval, anchor=due), due, now)

    after = now if lateness > GRACE_MS else due
    assert claim.next_due is not None
    assert 0 == (claim.next_due - due) % interval
    assert claim.next_due - interval <= after < claim.next_due


def test_missed_for_ten_minutes_fires_once() -> None:
    """A cron job that slept through ten fires claims one of them, and is due next after now."""
    claim = one_claim(Cron(expr="* * * * *"), NOW - 600_000)

    assert NOW - 600_000 == claim.due
    assert NOW + 60_000 == claim.next_due


def test_late_within_the_grace_fires_each() -> None:
    """A due that is less than the grace late is followed by the next one, even if that is in the past too."""
    assert NOW - 59_000 == one_claim(Every(interval=1_000, anchor=0), NOW - GRACE_MS).next_due


def test_after_waits_for_the_end() -> None:
    """A fixed delay has no next due: the end of the run says when."""
    claim = one_claim(After(delay=1_000), NOW)

    assert claim.run_id is not None
    assert claim.next_due is None


def test_at_is_over() -> None:
    """A job that is due once has no next due."""
    claim = one_claim(At(instant=NOW), NOW)

    assert claim.run_id is not None
    assert claim.next_due is None


def test_end_is_exclusive() -> None:
    """The last due is the last one before the end."""
    assert one_claim(Every(interval=1_000, anchor=0, end=NOW + 1_001), NOW).next_due == NOW + 1_000
    assert one_claim(Every(interval=1_000, anchor=0, end=NOW + 1_000), NOW).next_due is None


def test_due_outside_of_the_window_makes_no_run() -> None:
    """A fixed delay that comes round after the job's end is dropped; one before its start waits for it."""
    assert Claim("report", NOW, "3", None, None) == one_claim(After(delay=1_000, end=NOW), NOW)
    assert Claim("report", NOW, "3", NOW + 9, None) == one_claim(After(delay=1_000, start=NOW + 9), NOW)


def test_a_hash_spreads_tenants() -> None:
    """An `H` falls where tenant and job say: the same for each scheduler, another one for another job."""
    schedule = Cron(expr="H H * * *")

    dues = {one.next_due for name in "abcdefgh" for one in plan("acme", [due_job(schedule, NOW, name)], now=NOW).claims}

    assert len(dues) > 4


def test_unreadable_schedules_stop_no_other() -> None:
    """A job whose schedule is spoiled is named and left alone; the others are planned."""
    spoiled = [DueJob(text or "empty", NOW, "1", "1", text) for text in ("", "[]", "5", '{"kind":"x"}', "[" * 9_999)]

    planned = plan("acme", [*spoiled, due_job(At(instant=NOW), NOW)], now=NOW)

    assert ["report"] == [claim.job for claim in planned.claims]
    assert [job.name for job in spoiled] == planned.unreadable
