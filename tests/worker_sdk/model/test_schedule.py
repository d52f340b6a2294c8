"""When each kind of schedule is due, and how it is written down."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.model.instant import parse_instant
from taglane.model.schedule import (
    After,
    At,
    Cron,
    Every,
    Manual,
    Schedule,
    count_due,
    describe,
    from_fields,
    from_json,
    is_of_ours,
    next_due,
    to_json,
    upcoming,
)

NOON = parse_instant("2026-11-22T12:00:00Z")
MINUTE = 60_000

instants = st.integers(0, 4_000_000_000_000)
SCHEDULES: list[Schedule] = [
    Cron("*/5 9-17 * * MON-FRI", tz="Europe/Berlin"),
    Cron("0 30 2 * * ?", start=NOON, end=NOON + 86_400_000),
    Every(30_000, anchor=NOON + 7),
    Every(MINUTE, start=NOON),
    After(5 * MINUTE, first=NOON),
    At(NOON, tz="Asia/Kolkata"),
    Manual(),
]


@given(st.integers(1, 1_000), instants, st.integers(-5_000_000, 5_000_000))
def test_every_is_due_on_its_grid(seconds: int, anchor: int, offset: int) -> None:
    """The next due is after the instant, on the grid, and no earlier point of the grid would do."""
    schedule = Every(seconds * 1000, anchor=anchor)
    after = anchor + offset

    due = next_due(schedule, after=after)

    assert due == next(
        point
        for point in (anchor + step * schedule.interval for step in range(max(0, offset // schedule.interval), 10**9))
        if point > after
    )


@given(st.sampled_from(SCHEDULES), instants)
def test_due_is_after_the_instant_and_in_the_window(schedule: Schedule, after: int) -> None:
    """Whatever the kind, what is due is strictly later, not before the start, and before the end."""
    due = next_due(schedule, after=after)

    assert due is None or after < due
    assert due is None or (schedule.start or 0) <= due < (schedule.end or due + 1)


def test_a_restart_keeps_the_grid() -> None:
    """The grid hangs on the anchor, not on the instant someone asks."""
    schedule = Every(MINUTE, anchor=NOON + 7)

    assert [NOON + 7 + MINUTE, NOON + 7 + 2 * MINUTE] == upcoming(schedule, now=NOON + 59_999, count=2)


@pytest.mark.parametrize(
    "schedule", [Every(MINUTE, start=NOON), Cron("* * * * *", start=NOON), After(1000, start=NOON)]
)
def test_the_start_itself_is_due_and_the_end_is_not(schedule: Schedule) -> None:
    """A window includes its start and excludes its end."""
    closing = from_fields({"kind": schedule.kind, **_values(schedule), "end": NOON + 1})

    assert [NOON] == upcoming(closing, now=NOON - 10 * MINUTE, count=3)


def test_after_counts_from_the_end_of_the_last_run() -> None:
    """A fixed delay is due first when told, and then the delay after each end."""
    schedule = After(5 * MINUTE, first=NOON)

    assert NOON == next_due(schedule, after=NOON - 1)
    assert NOON + 123 + 5 * MINUTE == next_due(schedule, after=NOON + 123)


def test_at_is_due_once() -> None:
    """An instant that has passed is not due again."""
    assert [NOON] == upcoming(At(NOON), now=NOON - 1, count=5)
    assert next_due(At(NOON), after=NOON) is None


def test_manual_is_never_due() -> None:
    """A manual job has no due of its own."""
    assert [] == upcoming(Manual(), now=0, count=5)


def test_a_cron_job_is_due_by_its_zone_and_hash_id() -> None:
    """The clock of the zone decides, and the hash id where an H falls."""
    assert parse_instant("2026-11-23T08:00:00Z") == next_due(Cron("0 9 * * *", tz="Europe/Berlin"), after=NOON)
    assert next_due(Cron("H H * * *"), after=NOON, hash_id="acme/a") != next_due(
        Cron("H H * * *"), after=NOON, hash_id="acme/b"
    )


@pytest.mark.parametrize("schedule", SCHEDULES, ids=describe)
def test_what_is_written_reads_back(schedule: Schedule) -> None:
    """Every schedule survives the way to JSON and back."""
    assert schedule == from_json(to_json(schedule))


def test_json_leaves_out_defaults() -> None:
    """What is stored with each job is short."""
    assert '{"kind":"cron","expr":"@daily"}' == to_json(Cron("@daily"))
    assert '{"kind":"every","tz":"Asia/Kolkata","interval":60000,"anchor":5}' == to_json(
        Every(MINUTE, anchor=5, tz="Asia/Kolkata")
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "corn"}, "'corn' is not a kind of schedule: there are cron, every, after, at, manual"),
        ({}, "None is not a kind of schedule"),
        ({"kind": "cron"}, "lacks a field: it has tz, start, end, expr"),
        ({"kind": "cron", "expr": 5}, "expr is a text, not 5"),
        ({"kind": "cron", "expr": "0 25 * * *"}, "cron field hour: '25' is not in 0-23"),
        ({"kind": "cron", "expr": "0 0 31 2 *"}, "never fires"),
        ({"kind": "cron", "expr": "@daily", "tz": "Mars/X"}, "unknown time zone 'Mars/X'"),
        ({"kind": "every", "intervall": 1}, "no field 'intervall': did you mean 'interval'"),
        ({"kind": "every", "interval": 1000}, "needs a start or an anchor"),
        ({"kind": "every", "interval": 1500, "anchor": 0}, "1500 ms is not a whole number of seconds"),
        ({"kind": "every", "interval": 0, "anchor": 0}, "0 ms is not a whole number of seconds, 1s or more"),
        ({"kind": "every", "interval": "30s", "anchor": 0}, "interval is a number of milliseconds, not '30s'"),
        ({"kind": "every", "interval": True, "anchor": 0}, "interval is a number of milliseconds, not True"),
        ({"kind": "at", "instant": None}, "instant is missing"),
        ({"kind": "at", "instant": -1}, "instant is a number of milliseconds, not -1"),
        ({"kind": "at", "instant": 10**18}, "instant is a number of milliseconds"),
        ({"kind": "at", "instant": 5, "end": 5}, "outside of the start and end"),
        ({"kind": "at", "instant": 5, "start": 6}, "outside of the start and end"),
        ({"kind": "after", "delay": 10}, "10 ms is not a whole number of seconds"),
        ({"kind": "manual", "start": 9, "end": 9}, "must come before end"),
    ],
)
def test_a_mistake_is_said_in_a_sentence(values: dict[str, Any], message: str) -> None:
    """A schedule that can't be is refused when it is made, and says why."""
    with pytest.raises(ValueError, match=message):
        from_fields(values)


@pytest.mark.parametrize("text", ["[]", "{", '"cron"'])
def test_json_that_is_no_schedule_is_refused(text: str) -> None:
    """Only a JSON object is a schedule."""
    with pytest.raises(ValueError, match=r"JSON object|Expecting"):
        from_json(text)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Cron("*/5 9-17 * * MON-FRI", tz="Europe/Berlin"), "cron */5 9-17 * * MON-FRI (Europe/Berlin)"),
        (Every(30_000, anchor=0), "every 30s"),
        (After(5 * MINUTE), "5m after each end"),
        (At(NOON), "once at 2026-11-22T12:00:00Z"),
        (Manual(), "manual"),
        (
            Every(MINUTE, start=NOON, end=NOON + MINUTE),
            "every 1m, from 2026-11-22T12:00:00Z, until 2026-11-22T12:01:00Z",
        ),
    ],
)
def test_a_schedule_describes_itself(schedule: Schedule, expected: str) -> None:
    """People read one short sentence."""
    assert expected == describe(schedule)


def _values(schedule: Schedule) -> dict[str, Any]:
    match schedule:
        case Cron(expr=expr):
            own: dict[str, Any] = {"expr": expr}
        case Every(interval=interval):
            own = {"interval": interval}
        case After(delay=delay):
            own = {"delay": delay}
        case _:
            own = {}
    return own | {"start": schedule.start}


def test_what_a_newer_version_knows_is_told_from_what_is_spoiled() -> None:
    """An unknown kind, or an unknown field of a known one, is not of ours; a kind that is no text is nobody's."""
    assert is_of_ours(json.loads(to_json(Every(interval=1_000, anchor=0))))
    assert not is_of_ours({"kind": "window"})
    assert not is_of_ours({"kind": "every", "interval": 1_000, "except": []})
    assert is_of_ours({"kind": 5, "except": []})


@given(st.sampled_from(SCHEDULES), st.integers(-90, 90), st.integers(-10, 200))
def test_a_count_is_that_of_the_instants(schedule: Schedule, minutes: int, span: int) -> None:
    """After the first instant and up to the second, inside the window; a fixed delay has none of its own."""
    after, until = NOON + minutes * MINUTE, NOON + (minutes + span) * MINUTE

    count = count_due(schedule, after=after, until=until, hash_id="acme/report")

    found = upcoming(schedule, now=after, count=420, hash_id="acme/report")
    expected = [due for due in found if due <= until]
    assert count == (0 if isinstance(schedule, After) else len(expected))
