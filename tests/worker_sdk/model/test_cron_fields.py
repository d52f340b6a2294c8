"""What a cron expression may look like, and what is said of one that doesn't."""

import pytest
from taglane.model.cron_fields import read_cron


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        ("0 25 * * *", r"^cron field hour: '25' is not in 0-23 \(in '0 25 \* \* \*'\)$"),
        ("60 * * * *", "cron field minute: '60' is not in 0-59"),
        ("x * * * *", "cron field minute: 'x' is not in 0-59"),
        ("60 0 0 * * *", "cron field second: '60' is not in 0-59"),
        ("0 0 0 * *", "cron field day of month: '0' is not in 1-31"),
        ("0 0 32W * *", "cron field day of month: '32' is not in 1-31"),
        ("0 0 * 13 *", "cron field month: '13' is not in 1-12 or JAN-DEC"),
        ("0 0 * * FUN", "cron field day of week: 'FUN' is not in 0-7 or SUN-SAT"),
        ("0 0 * * 8", "cron field day of week: '8' is not in 0-7"),
        ("0 0 * * 1#6", "cron field day of week: '1#6' is not understood"),
        ("0 0 * * 1,5#2", "cron field day of week: '1,5#2' mixes"),
        ("0 0 15W * 5", "cron field day of month: '15W' needs a \\* as the day of week"),
        ("0 0 13 * 5#2", "cron field day of week: '5#2' needs a \\* as the day of month"),
        ("0 0 13 * 5L", "cron field day of week: 'L5' needs a \\* as the day of month"),
        ("0 0 15W,L * *", "cron field day of month: a W stands alone"),
        ("*/0 * * * *", "cron field minute: the step '0' in '\\*/0' is not a number above 0"),
        ("5/x * * * *", "cron field minute: the step 'x'"),
        ("1,,2 * * * *", "cron field minute: '' is not understood"),
        ("-5 * * * *", "cron field minute: '-5' is not understood"),
        ("? * * * *", "cron field minute: '\\?' is not understood"),
        ("H(5-2) * * * *", "cron field minute: the range in 'H\\(5-2\\)' must end after it starts"),
        ("H(0-99) * * * *", "cron field minute: '99' is not in 0-59"),
        ("R * * * *", "cron field minute: 'R' is not in 0-59"),
        ("* * * *", "5 fields, or 6 with seconds first: '\\* \\* \\* \\*' has 4"),
        ("0 0 0 1 1 ? 2026", "has 7"),
        ("", "has 0"),
        ("@dayly", "unknown cron alias '@dayly': did you mean @daily"),
        ("@reboot", "unknown cron alias '@reboot'"),
        ("0 " * 200, "200 characters at most"),
    ],
)
def test_a_mistake_names_its_field_and_value(expr: str, message: str) -> None:
    """Who writes a bad expression is told which field is wrong, and what in it."""
    with pytest.raises(ValueError, match=message):
        read_cron(expr)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("*/5 9-11 * * mon-wed", "*/5 9,10,11 * * 1,2,3"),
        ("0 5-5 * * *", "0 5 * * *"),
        ("0 23-6/2 * * *", "0 23,1,3,5 * * *"),
        ("0 0 * NOV-FEB fri-mon", "0 0 * 11,12,1,2 5,6,0,1"),
        ("0 0 * * 5-7", "0 0 * * 5,6,0"),
        ("50/5 0 ? * ?", "50,55 0 * * *"),
        ("*,5 5,*/12 1,* * *", f"* 5,0,12 {','.join(map(str, range(1, 32)))} * *"),
        ("0 0 H * H", "0 0 H(1-28) * H(0-6)"),
        ("h(0-29)/10 0 * * *", "H(0-29)/10 0 * * *"),
        ("0 0 l,15 * *", "0 0 L,15 * *"),
        ("0 0 15w * ?", "0 0 15W * *"),
        ("0 0 * * FRIL,L0", "0 0 * * L5,L0"),
        ("@Daily", "0 0 * * *"),
        ("30 0 0 * * *", "30 0 0 * * *"),
    ],
)
def test_a_field_is_spelled_out_for_croniter(expr: str, expected: str) -> None:
    """croniter gets lists, so that its own reading of ranges never matters."""
    assert expected == read_cron(expr).text


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("30 2 * * *", True),
        ("0 0-23 * * *", True),
        ("0 0/2 * * *", True),
        ("0 30 2 * * *", True),
        ("*/10 30 2 * * *", True),
        ("H H * * *", True),
        ("30 * * * *", False),
        ("0 */2 * * *", False),
        ("0 H/2 * * *", False),
        ("*/5 2 * * *", False),
        ("@hourly", False),
        ("@daily", True),
    ],
)
def test_a_time_is_fixed_unless_minute_or_hour_start_with_a_star(expr: str, expected: bool) -> None:
    """What Debian cron calls a wildcard job is not moved out of a gap."""
    assert expected is read_cron(expr).fixed


@pytest.mark.parametrize(("expr", "expected"), [("H 0 * * *", True), ("0 0 * MAR THU", False)])
def test_only_an_h_makes_the_hash_id_matter(expr: str, expected: bool) -> None:
    """An H within a name is no H."""
    assert expected is read_cron(expr).hashed
