"""When a job is due, in words."""

from __future__ import annotations

import pytest
from factories import make_job
from taglane_scheduler.web.console.schedule_words import clock, in_words


@pytest.mark.parametrize(
    ("fields", "english", "chinese"),
    [
        (
            {"cron": "30 2 * * MON-FRI", "tz": "Asia/Shanghai"},
            "At 02:30, Monday through Friday (Asia/Shanghai)",
            "星期一 到 星期五",
        ),
        ({"cron": "0 0 9 1 DEC *"}, "At 09:00, on day 1 of the month, only in December (UTC)", "仅在 12月"),
        ({"cron": "@hourly"}, "Every hour (UTC)", "每小时"),
        ({"every": "90s"}, "every 1m30s", "每 1m30s"),
        ({"after": "5m"}, "5m after each end", "每次结束后 5m"),
        ({"at": "2030-01-01T00:00:00Z"}, "once, at 2030-01-01 00:00:00 +00:00", "一次"),
        ({"manual": True}, "only when somebody runs it", "仅在有人运行时"),
    ],
)
def test_a_schedule_is_said_in_both_languages(fields: dict[str, str], english: str, chinese: str) -> None:
    """With its time zone, where it has one."""
    schedule = make_job(**fields).schedule

    assert english == in_words(schedule, "en", "acme/report")
    assert chinese in in_words(schedule, "zh", "acme/report")


def test_a_hash_is_said_as_what_it_stands_for() -> None:
    """Of this job."""
    words = in_words(make_job(cron="H 3 * * THU").schedule, "en", "acme/report")

    assert words.startswith("At 03:")
    assert words.endswith(", only on Thursday (UTC)")
    assert "past the hour" in in_words(make_job(cron="H/20 * * * *").schedule, "en", "acme/report")


def test_what_can_not_be_said_is_shown_as_written() -> None:
    """A clock has its offset; an instant beyond all calendars is a number."""
    assert "2026-07-01 14:00:00 +02:00" == clock(1_782_907_200_000, "Europe/Berlin")
    assert "99999999999999999" == clock(99_999_999_999_999_999, "UTC")
