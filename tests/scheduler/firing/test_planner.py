from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.model.names import fired_run_id
from taglane.model.no_worker import DAY_MS
from taglane.model.schedule import After, At, Cron, Every, Schedule, to_json
from taglane_scheduler.firing.planner import (
    CALLS,
    COUNTED_MS,
    GRACE_MS,
    MADE_UP,
    PACE_MS,
    Claim,
    DueJob,
    Unserved,
    plan,
)

NOW = 1_795_348_800_000  # 2026-11-22T12:00:00Z


def due_job(
    schedule: Schedule, due: int, name: str = "report", misfire: str = "", unserved: Unserved | None = None
) -> DueJob:
    return DueJob(name, due, "3", "1700000000000", to_json(schedule), misfire, unserved)


def made_up(schedule: Schedule, due: int, now: int = NOW) -> tuple[list[Claim], list[Claim]]:
    """The claims of a job whose misfire is all: those that run, and those that are a record alone."""
    claims = plan("acme", [due_job(schedule, due, misfire="all")], now=now).claims
    return [claim for claim in claims if not claim.skipped], [claim for claim in claims if claim.skipped]


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


@pytest.mark.parametrize("misfire", ["skip", "all"])
def test_within_the_grace_nothing_is_missed(misfire: str) -> None:
    """Whatever a job says of what is missed: a due that is a minute late is an ordinary one."""
    job = due_job(Every(interval=1_000, anchor=0), NOW - GRACE_MS, misfire=misfire)

    planned = plan("acme", [job], now=NOW)

    assert [(NOW - GRACE_MS + 1_000, 0, "")] == [(each.next_due, each.delay, each.skipped) for each in planned.claims]
    assert 0 == planned.calls


def test_skip_is_due_next_in_the_future() -> None:
    """What was missed makes a record; a job that is due once is over."""
    (claim,) = plan("acme", [due_job(Cron(expr="* * * * *"), NOW - 600_000, misfire="skip")], now=NOW + 1).claims
    (once,) = plan("acme", [due_job(At(instant=NOW), NOW, misfire="skip")], now=NOW + 61_000).claims
    (after,) = plan("acme", [due_job(After(delay=5_000), NOW, misfire="skip")], now=NOW + 61_500).claims

    assert (NOW + 60_000, "missed by 10m: misfire is skip") == (claim.next_due, claim.skipped)
    assert (None, "missed by 1m1s: misfire is skip") == (once.next_due, once.skipped)
    assert NOW + 66_000 == after.next_due


@given(st.integers(1, 120), st.integers(0, 10**6), st.integers(0, 999))
def test_all_makes_up_for_each_of_a_fixed_rate(seconds: int, late: int, odd: int) -> None:
    """Each missed instant up to a hundred, paced; one record says how many more there were; then comes the grace."""
    interval, due = seconds * 1_000, NOW - late * 1_000 - odd
    runs, records = made_up(Every(interval=interval, anchor=due), due)

    missed = list(range(due, NOW - GRACE_MS, interval))[: MADE_UP + 1]
    if not missed:
        assert [(due, 0)] == [(claim.due, claim.delay) for claim in runs]
        return
    assert missed[:MADE_UP] == [claim.due for claim in runs]
    assert [PACE_MS * number for number in range(len(runs))] == [claim.delay for claim in runs]
    chain = [*runs, *records]
    assert all(before.next_due == after.due for before, after in pairwise(chain))
    assert all(claim.run_id == fired_run_id("acme", "report", "1700000000000", claim.due) for claim in chain)
    following = chain[-1].next_due
    assert following is not None
    assert NOW - GRACE_MS <= following < NOW - GRACE_MS + interval
    assert len(missed) - len(runs) == len(records)
    for record in records:
        count = len(range(record.due, NOW - GRACE_MS, interval))
        assert record.skipped.startswith(f"missed {count} instant")


@pytest.mark.parametrize(
    ("late", "told"),
    [
        (100 * 60_000, None),
        (102 * 60_000, "missed 1 instant from 2026-11-22T11:58:00Z to 2026-11-22T11:59:00Z"),
        (201 * 60_000, "missed 100 instants from"),
        (202 * 60_000, "missed more than 100 instants from"),
        (9_999 * 60_000, "missed more than 100 instants from"),
    ],
)
def test_all_of_a_cron_counts_no_further_than_it_has_to(late: int, told: str | None) -> None:
    """The record says how many were dropped, or that there were more than are worth counting."""
    runs, records = made_up(Cron(expr="* * * * *"), NOW - late)

    assert min(100, late // 60_000 - 1) == len(runs)
    assert [told is not None] == [len(records) == 1]
    for record in records:
        assert record.skipped.startswith(told or "-")
        assert record.next_due == NOW - GRACE_MS


def test_all_ends_with_the_window() -> None:
    """An end that was missed too is an end; a job that is due once is made up for once."""
    runs, records = made_up(Every(interval=1_000, anchor=0, end=NOW - 190_000), NOW - 300_000)
    assert (100, 10, None) == (len(runs), int(records[0].skipped.split()[1]), records[0].next_due)

    runs, records = made_up(Every(interval=1_000, anchor=0, end=NOW - 295_000), NOW - 300_000)
    assert (5, [], None) == (len(runs), records, runs[-1].next_due)

    assert ([NOW], []) == tuple([claim.due for claim in each] for each in made_up(At(instant=NOW), NOW, NOW + 10**6))
    assert [Claim("report", NOW, "3", None, None)] == made_up(After(delay=1_000, end=NOW), NOW, NOW + 10**6)[0]


def test_what_a_step_makes_up_for_is_bounded() -> None:
    """Jobs for which no calls are left wait for the next step; all others are planned all the same."""
    late: Any = [due_job(Cron(expr="* * * * *"), NOW - 10**8 + number, f"j{number}", "all") for number in range(9)]

    planned = plan("acme", [*late, due_job(At(instant=NOW), NOW)], now=NOW, calls=450)

    assert ["j0", "j1", "j2", "report"] == sorted({claim.job for claim in planned.claims})
    assert NOW - 10**8 + 3 == planned.left
    assert 450 <= planned.calls <= 660


# -- counting what was missed ------------------------------------------------------------------------------------------

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("schedule", "misfire", "missed"),
    [
        (Cron(expr="* * * * *"), "", 180),
        (Cron(expr="* * * * *"), "skip", 180),
        (Cron(expr="*/5 * * * * *"), "", 3 * 720),
        (Every(interval=10_000, anchor=0), "", 3 * 360),
        (Cron(expr="* * * * *", end=NOW - HOUR), "", 119),
        (At(instant=NOW - 3 * HOUR), "", 0),
        (After(delay=1_000), "", 0),
        (After(delay=1_000), "skip", 0),
        (Cron(expr="0 9 * * *"), "", 0),
    ],
)
def test_what_a_claim_passes_over_is_counted(schedule: Schedule, misfire: str, missed: int) -> None:
    """Every instant after the one that was due three hours ago, up to now: no run stands for it, and no record."""
    (claim,) = plan("acme", [due_job(schedule, NOW - 3 * HOUR, misfire=misfire)], now=NOW).claims

    assert missed == claim.missed


@pytest.mark.parametrize("schedule", [Cron(expr="* * * * * *"), Every(interval=1_000, anchor=0)])
@pytest.mark.parametrize("hours", [1, 30])
def test_of_what_is_made_up_for_the_rest_is_counted(schedule: Schedule, hours: int) -> None:
    """Runs, the record of the rest and what that passes over: together they are all instants that were missed."""
    runs, records = made_up(schedule, NOW - hours * HOUR)

    claims = [*runs, *records]
    assert hours * 3_600 - GRACE_MS // 1_000 == len(claims) + sum(claim.missed for claim in claims)


@given(st.integers(0, GRACE_MS))
def test_within_the_grace_nothing_is_passed_over(late: int) -> None:
    assert 0 == one_claim(Cron(expr="* * * * * *"), NOW - late).missed


def test_of_a_long_outage_the_end_is_counted() -> None:
    """As far back as the ledger goes: a due instant in 1970 stops no scheduler."""
    assert COUNTED_MS // 60_000 == one_claim(Cron(expr="* * * * *"), 60_000).missed


def test_what_a_step_counts_is_bounded() -> None:
    """Of many jobs some are not counted; all are fired."""
    jobs = [due_job(Cron(expr=f"{n % 60} * * * *"), NOW - 20 * 24 * HOUR, name=f"j{n}") for n in range(200)]

    planned = plan("acme", jobs, now=NOW)

    assert 200 == len(planned.claims)
    assert planned.calls <= CALLS
    assert 0 < sum(1 for claim in planned.claims if claim.missed) < 200


schedules = st.sampled_from(
    [Every(interval=60_000, anchor=0), Cron(expr="* * * * *"), After(delay=5_000), At(instant=NOW)]
)
policies = st.sampled_from(["", "wait:1h", "skip", "fail", "overflow:acme.spare", "overflow:shared.any"])


def claims(schedule: Schedule, late: int, misfire: str, unserved: Unserved | None) -> list[Claim]:
    return plan("acme", [due_job(schedule, NOW - late, misfire=misfire, unserved=unserved)], now=NOW).claims


@given(schedules, st.integers(0, 10**7), st.sampled_from(["", "skip", "all"]), policies, st.booleans())
def test_no_worker_changes_what_becomes_of_a_fire_and_nothing_else(
    schedule: Schedule, late: int, misfire: str, policy: str, expires: bool
) -> None:
    """Each instant is claimed under the same id and once; the job is due when it would be, but for a skipped delay."""
    served = claims(schedule, late, misfire, None)
    unserved = claims(schedule, late, misfire, Unserved("acme.gpu", policy, expires))

    assert [(claim.due, claim.run_id) for claim in served] == [(claim.due, claim.run_id) for claim in unserved]
    for as_usual, claim in zip(served, unserved, strict=True):
        ways = [claim.skipped != "", claim.failed != "", claim.ttl > 0, claim.tag != ""]
        assert 1 == sum(ways) or (sum(ways) == 0 and expires and policy == "")
        assert (0, "", "") == (as_usual.ttl, as_usual.tag, as_usual.failed)
        if isinstance(schedule, After) and policy == "skip":
            assert NOW + 5_000 == claim.next_due
        else:
            assert as_usual.next_due == claim.next_due


@pytest.mark.parametrize(
    ("policy", "expires", "changed"),
    [
        ("", False, {"ttl": DAY_MS}),
        ("", True, {}),
        ("wait:1h", False, {"ttl": 3_600_000}),
        ("wait:1h", True, {"ttl": 3_600_000}),
        ("skip", False, {"skipped": "no worker serves tag 'acme.gpu': no_worker is skip"}),
        ("fail", False, {"failed": "no worker serves tag 'acme.gpu': no_worker is fail"}),
        ("overflow:acme.spare", False, {"tag": "acme.spare"}),
    ],
)
def test_each_policy(policy: str, expires: bool, changed: dict[str, Any]) -> None:
    """A wait ends after a day unless the job says something else; the reasons name the tag and the policy."""
    schedule = Every(interval=60_000, anchor=0)

    (claim,) = claims(schedule, 0, "", Unserved("acme.gpu", policy, expires))

    assert one_claim(schedule, NOW)._replace(**changed) == claim


def test_a_policy_that_nobody_of_ours_has_written() -> None:
    """The job is named and left alone: a tag of another tenant is never asked for, whoever wrote it."""
    for policy in ("lend", "overflow:globex", "overflow:shared"):
        job = due_job(At(instant=NOW), NOW, unserved=Unserved("acme", policy))

        planned = plan("acme", [job, due_job(At(instant=NOW), NOW, "good")], now=NOW)

        assert ["report"] == planned.unreadable
        assert ["good"] == [claim.job for claim in planned.claims]
