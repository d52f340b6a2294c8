"""Says in words when a job is due, in the console's languages. Pure."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from taglane.model.cron import parsed_cron
from taglane.model.cron_fields import read_cron
from taglane.model.duration import format_duration
from taglane.model.schedule import After, At, Cron, Every
from taglane.model.zone import find_zone

from taglane_scheduler.web.console.languages import translate

if TYPE_CHECKING:
    from taglane.model.schedule import Schedule

_LOCALES = {"en": "en_US", "zh": "zh_CN"}

_CHINESE = {
    **dict(zip(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"), "一二三四五", strict=True)),
    "Saturday": "六",
    "Sunday": "日",
}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)


def in_words(schedule: Schedule, language: str, hash_id: str = "") -> str:
    """Return when a schedule is due: `At 03:00, Monday through Friday (Asia/Shanghai)`; *hash_id* places an `H`."""
    match schedule:
        case Cron(expr=expr, tz=tz):
            return f"{_cron(expr, language, hash_id)} ({tz})"
        case Every(interval=interval):
            return translate(language, "every {duration}", duration=format_duration(interval))
        case After(delay=delay):
            return translate(language, "{duration} after each end", duration=format_duration(delay))
        case At(instant=instant, tz=tz):
            return translate(language, "once, at {time}", time=clock(instant, tz))
        case _:
            return translate(language, "only when somebody runs it")


def clock(instant: int, tz: str) -> str:
    """Return what the clock of a zone shows at an instant, with its offset: `2026-11-22 09:00:00 +08:00`."""
    try:
        told = datetime.fromtimestamp(instant // 1000, find_zone(tz)).isoformat(sep=" ")
    except (ValueError, OverflowError, OSError):
        return str(instant)
    return f"{told[:19]} {told[19:]}"


@lru_cache(maxsize=4_096)
def _cron(expr: str, language: str, hash_id: str) -> str:
    from cron_descriptor import ExpressionDescriptor, Options  # noqa: PLC0415 - of the extra `console`

    options = Options()
    options.locale_code = _LOCALES.get(language, "en_US")
    options.use_24hour_time_format = True
    try:
        said = ExpressionDescriptor(_without_hashes(expr, hash_id), options).get_description()
    except Exception:  # noqa: BLE001 - it knows less of cron than we do, and says so by many kinds of errors
        return expr
    return _in_chinese(said) if language == "zh" else said


def _without_hashes(expr: str, hash_id: str) -> str:
    """Return an expression with what each `H` stands for, and an alias as what it stands for."""
    read = read_cron(expr)
    if not read.hashed:
        return expr if not expr.startswith("@") else read.text
    fields = expr.split()
    values = parsed_cron(expr, hash_id).croniter.expanded
    if len(fields) == 6:
        values = [values[5], *values[:5]]
    return " ".join(
        ",".join(str(each) for each in value) if "H" in field.upper().replace("THU", "").replace("MAR", "") else field
        for field, value in zip(fields, values, strict=False)
    )


def _in_chinese(said: str) -> str:
    """Return what cron-descriptor says with the names that it leaves in English."""
    for number, month in enumerate(_MONTHS, 1):
        said = said.replace(month, f"{number}月")
    for day, name in _CHINESE.items():
        said = said.replace(day, f"星期{name}")
    return said
