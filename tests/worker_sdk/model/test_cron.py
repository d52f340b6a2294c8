"""When a cron expression fires, above all where DST skips or repeats an hour."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from cronsim import CronSim, CronSimError
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from taglane.model import cron as cron_module
from taglane.model.cron import check_cron, next_cron, parsed_cron
from taglane.model.cron_fields import read_cron
from taglane.model.instant import format_instant, parse_instant

# The hour-wide changes around 02:00, where cronsim can be trusted with any expression.
ORDINARY = {
    "Europe/Berlin": ["2026-03-29T01:00Z", "2026-10-25T01:00Z"],
    "America/New_York": ["2026-03-08T07:00Z", "2026-11-01T06:00Z"],
    "Europe/Dublin": ["2026-03-29T01:00Z", "2026-10-25T01:00Z"],
    "Asia/Kolkata": ["2026-05-05T05:00Z"],
    "UTC": ["2026-03-29T01:00Z"],
}
# Half an hour, or at midnight: cronsim leaves its grid here unless the time is fixed.
ODD = {
    "Australia/Lord_Howe": ["2026-04-04T15:00Z", "2026-10-03T15:30Z"],
    "America/Sao_Paulo": ["2018-11-04T03:00Z", "2018-02-18T02:00Z"],
    "America/Havana": ["2026-03-08T05:00Z", "2026-11-01T05:00Z"],
}


def fires(expr: str, tz: str, after: str, count: int, hash_id: str = "") -> list[str]:
    """The next *count* fires, as `HH:MM±offset` on the clocks of *tz*."""
    instant: int | None = parse_instant(after)
    shown = []
    for _ in range(count):
        assert instant is not None
        instant = next_cron(expr, tz, after=instant, hash_id=hash_id)
        assert instant is not None
        local = datetime.fromtimestamp(instant / 1000, ZoneInfo(tz))
        shown.append(local.isoformat()[8:16] + local.isoformat()[-6:])
    return shown


def terms(low: int, high: int) -> st.SearchStrategy[str]:
    """One term of a field, as both readers understand it (for cronsim `5-5/2` is `5/2`)."""
    number = st.integers(low, high)
    span = st.tuples(number, number).filter(lambda pair: pair[0] < pair[1])
    return st.one_of(
        number.map(str),
        st.builds("{}/{}".format, number, st.integers(1, 12)),
        st.builds("*/{}".format, st.integers(1, 12)),
        st.just("*"),
        span.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.builds(lambda pair, step: f"{pair[0]}-{pair[1]}/{step}", span, st.integers(1, 7)),
    )


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    return st.just("*") | st.lists(terms(low, high), min_size=1, max_size=3).map(",".join)


def expressions(*, fixed: bool = False) -> st.SearchStrategy[str]:
    """Five fields, most with hours near the changes; *fixed*: without a star at the start of minute and hour."""
    minute, hour = fields(0, 59), fields(0, 4) | fields(0, 23)
    if fixed:
        minute = st.builds("{},{}".format, st.integers(0, 59), terms(0, 59)) | st.integers(0, 59).map(str)
        hour = st.builds("{},{}".format, st.integers(0, 23), terms(0, 23)) | st.integers(0, 3).map(str)
    return st.tuples(minute, hour, fields(1, 31), fields(1, 12), fields(0, 7)).map(" ".join)


@st.composite
def around_a_change(draw: st.DrawFn, zones: dict[str, list[str]]) -> tuple[str, int]:
    """A zone, and an instant in s near one of its changes, often on a full half hour."""
    tz = draw(st.sampled_from(sorted(zones)))
    change = parse_instant(draw(st.sampled_from(zones[tz]))) // 1000
    near = st.integers(-9_000, 9_000) | st.integers(-6, 6).map(lambda half_hours: half_hours * 1_800)
    return tz, change + draw(near) - draw(st.sampled_from([0, 0, 1, 40])) * 86_400


def by_cronsim(expr: str, tz: str, after: int) -> int | None:
    """cronsim's next; in the second pass of an hour it starts over in the first, so skip what has passed."""
    try:
        ticks = CronSim(expr, datetime.fromtimestamp(after, ZoneInfo(tz)))
        return next((found for tick in ticks if (found := int(tick.timestamp())) > after), None)
    except CronSimError:
        return None


def refused(expr: str) -> bool:
    try:
        check_cron(expr)
    except ValueError:
        return True
    return False


def in_seconds(instant: int | None) -> int | None:
    return None if instant is None else instant // 1000


@settings(max_examples=1_000, deadline=None)
@given(expressions(), around_a_change(ORDINARY))
def test_cronsim_agrees(expr: str, place: tuple[str, int]) -> None:
    """Whatever the expression, we fire when Debian cron does, as cronsim has it."""
    tz, after = place
    expected = by_cronsim(expr, tz, after)

    if refused(expr):
        assert expected is None
    else:
        assert expected == in_seconds(next_cron(expr, tz, after=after * 1000))


@settings(max_examples=300, deadline=None)
@given(expressions(fixed=True), around_a_change(ODD))
def test_cronsim_agrees_on_fixed_times_in_odd_zones(expr: str, place: tuple[str, int]) -> None:
    """A fixed time follows the same rules where the clock moves half an hour, or at midnight."""
    tz, after = place
    assume(not refused(expr))

    assert by_cronsim(expr, tz, after) == in_seconds(next_cron(expr, tz, after=after * 1000))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 59),
    st.sets(st.integers(0, 4), min_size=1),
    around_a_change(ORDINARY | ODD),
)
def test_other_times_are_what_the_clock_shows(step: int, hours: set[int], place: tuple[str, int]) -> None:
    """An expression with a star fires at the next minute whose clock matches, found by looking at every one."""
    tz, after = place
    expr = f"*/{step} {','.join(map(str, sorted(hours)))} * * *"
    zone = ZoneInfo(tz)

    def matches(instant: int) -> bool:
        wall = datetime.fromtimestamp(instant, zone)
        return wall.minute % step == 0 and wall.hour in hours

    minute = (after // 60 + 1) * 60
    expected = next(instant for instant in range(minute, minute + 3 * 86_400, 60) if matches(instant))

    assert expected == in_seconds(next_cron(expr, tz, after=after * 1000))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 59), st.integers(0, 3), st.integers(0, 59), around_a_change(ORDINARY | ODD))
def test_a_fixed_time_fires_once_a_day(second: int, hour: int, minute: int, place: tuple[str, int]) -> None:
    """With seconds or without, a fixed time fires on every day of the calendar, and once on each."""
    tz, after = place
    instant: int | None = after * 1000
    days = []
    for _ in range(4):
        assert instant is not None
        instant = next_cron(f"{second} {minute} {hour} * * *", tz, after=instant)
        assert instant is not None
        days.append(datetime.fromtimestamp(instant / 1000, ZoneInfo(tz)).date())

    assert [1, 1, 1] == [(later - sooner).days for sooner, later in pairwise(days)]


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("30 2 * * *", ["29T03:00+02:00", "30T02:30+02:00"]),
        ("0,30 2,3 * * *", ["29T03:00+02:00", "29T03:30+02:00", "30T02:00+02:00"]),
        ("*/20 30 2 * * *", ["29T03:00+02:00", "30T02:30+02:00"]),
        ("0 */2 * * *", ["29T04:00+02:00", "29T06:00+02:00"]),
        ("*/30 * * * *", ["29T01:30+01:00", "29T03:00+02:00", "29T03:30+02:00"]),
        ("*/30 2 * * *", ["30T02:00+02:00", "30T02:30+02:00"]),
    ],
)
def test_only_a_fixed_time_leaves_the_skipped_hour(expr: str, expected: list[str]) -> None:
    """A fixed time that the clock skips fires right after the gap, and others don't."""
    assert expected == fires(expr, "Europe/Berlin", "2026-03-29T00:00Z", len(expected))


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("30 2 * * *", ["25T02:30+02:00", "26T02:30+01:00"]),
        ("30 * * * *", ["25T02:30+02:00", "25T02:30+01:00", "25T03:30+01:00"]),
        ("*/30 2 * * *", ["25T02:00+02:00", "25T02:30+02:00", "25T02:00+01:00", "25T02:30+01:00", "26T02:00+01:00"]),
    ],
)
def test_a_fixed_time_fires_in_the_first_of_the_repeated_hours(expr: str, expected: list[str]) -> None:
    """A fixed time that the clock repeats fires once, and others twice."""
    assert expected == fires(expr, "Europe/Berlin", "2026-10-24T23:59Z", len(expected))


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("0 12 13 * FRI", ["03T12:00+00:00", "10T12:00+00:00", "13T12:00+00:00"]),
        ("0 12 */2 * 1", ["13T12:00+00:00", "27T12:00+00:00"]),
        ("0 12 L * *", ["31T12:00+00:00", "31T12:00+00:00", "30T12:00+00:00"]),
        ("0 12 15W 8 *", ["14T12:00+00:00"]),
        ("0 12 * * 5#2", ["10T12:00+00:00", "14T12:00+00:00"]),
        ("0 12 * * 5L", ["31T12:00+00:00", "28T12:00+00:00"]),
    ],
)
def test_a_day_of_month_and_a_day_of_week(expr: str, expected: list[str]) -> None:
    """Either will do, but both are needed when one starts with a star; L, W and # count days within the month."""
    assert expected == fires(expr, "UTC", "2026-07-01T00:00Z", len(expected))


def test_an_h_falls_where_the_hash_id_says() -> None:
    """Two jobs with the same H fire at times of their own, each always at the same one."""
    times = {job: fires("H H * * *", "UTC", "2026-07-01T00:00Z", 1, f"acme/{job}") for job in "abcdefgh"}

    assert times == {job: fires("H H * * *", "UTC", "2026-07-01T00:00Z", 1, f"acme/{job}") for job in "abcdefgh"}
    assert 4 < len({time for (time,) in times.values()})


def test_an_alias_does_not_hash() -> None:
    """`@daily` is midnight for every job: who wants them spread writes `H H * * *`."""
    assert ["02T00:00+00:00"] == fires("@daily", "UTC", "2026-07-01T00:00Z", 1, "acme/report")


@pytest.mark.parametrize("expr", ["0 0 31 2 *", "0 0 30 FEB ?", "0 0 31 4,6,9,11 *"])
def test_what_never_fires_is_refused(expr: str) -> None:
    """An expression without a single day is refused when it is written, not when it doesn't fire."""
    with pytest.raises(ValueError, match="never fires: there is no such day"):
        check_cron(expr)


def test_a_second_is_the_finest_step() -> None:
    """Milliseconds of the instant to look from don't matter: the next second fires."""
    after = parse_instant("2026-07-01T00:00:00.999Z")

    found = next_cron("* * * * * *", "UTC", after=after)

    assert found is not None
    assert "2026-07-01T00:00:01Z" == format_instant(found)


def test_time_ends_with_the_calendar() -> None:
    """An instant at the end of Python's calendar, or past it, has no next."""
    assert next_cron("@daily", "UTC", after=10**17) is None


def test_threads_share_a_parsed_expression() -> None:
    """A search leaves no trace in what is memoised, so that one can't mislead another."""
    midnights = [day * 86_400_000 for day in range(2_000)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda midnight: next_cron("7 3 * * *", "UTC", after=midnight), midnights))

    assert [midnight + (3 * 60 + 7) * 60_000 for midnight in midnights] == found


@given(
    st.lists(st.sampled_from(("H", "H/7", "H(3-20)", "H(0-9)/4", "5", "*/3")), min_size=2, max_size=3),
    st.sampled_from(("H", "H(1-10)", "*")),
    st.text("abc0123456789-", min_size=1, max_size=12),
)
def test_an_h_is_settled_as_croniter_does(times: list[str], day: str, job: str) -> None:
    """The time that a job has stays what it was, whoever works it out: here we do, so that jobs share the rest."""
    expr = " ".join([*times, day, "*", "H"])
    asked = croniter(read_cron(expr).text, hash_id=f"acme/{job}", second_at_beginning=True, implement_cron_bug=True)

    assert asked.expanded == parsed_cron(expr, f"acme/{job}").croniter.expanded


@given(
    st.sampled_from(("30 2 * * *", "*/20 * * * *", "0 0 * * MON", "15,45 1-3 * * *", "0 */6 29 2 *")),
    st.sampled_from([(tz, at) for tz, changes in (ORDINARY | ODD).items() for at in changes]),
    st.lists(st.integers(-7_200, 14_400), min_size=2, max_size=12),
)
def test_who_asks_a_moment_later_is_told_what_a_stranger_is(
    expr: str, place: tuple[str, str], seconds: list[int]
) -> None:
    """What was answered before stands for all who ask until then, and misleads nobody who asks about another time."""
    tz, change = place
    instants = [parse_instant(change) + 1_000 * second for second in seconds]
    remembered = [next_cron(expr, tz, after=after) for after in instants]
    forgotten = []
    for after in instants:
        cron_module._last.cache_clear()  # noqa: SLF001 - as in a process that was never asked
        forgotten.append(next_cron(expr, tz, after=after))

    assert forgotten == remembered
