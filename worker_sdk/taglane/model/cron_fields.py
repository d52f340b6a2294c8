"""Reads a cron expression field by field, so that a mistake names its field and value.

What comes out is spelled for croniter without the corners where croniter goes its own way: ranges become lists (its
`5-5` is the whole cycle, and its `23-6/2` loses step at midnight), `*` within a list is the whole range, an alias is
what its name says whatever the hash id, and `H` in the day of month stays within 1-28, which every month has.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_LONGEST = 200  # characters
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

_ANY_CASE = re.ASCII | re.IGNORECASE
_RANGE = re.compile(r"(?P<low>\w+)(?:-(?P<high>\w+))?(?:/(?P<step>\w+))?", _ANY_CASE)
_EVERY = re.compile(r"\*(?:/(?P<step>\w+))?", _ANY_CASE)
_HASHED = re.compile(r"H(?:\((?P<low>\d+)-(?P<high>\d+)\))?(?:/(?P<step>\w+))?", _ANY_CASE)
_NEAREST_WEEKDAY = re.compile(r"(?P<day>\d+)W", _ANY_CASE)
_NTH_DAY = re.compile(r"(?P<day>\w+)#(?P<nth>[1-5])", _ANY_CASE)
_LAST_DAY = re.compile(r"L(?P<after>\d)|(?P<before>[0-7]|[A-Z]{3})L", _ANY_CASE)


@dataclass(frozen=True, slots=True)
class CronFields:
    """A cron expression that was read: *text* is for croniter.

    *fixed* is Debian cron's word on DST, and cronsim's: neither the minute nor the hour field starts with `*` (nor is
    an `H/n`, which is `*/n` with an offset). *hashed* says that an `H` makes the times depend on the hash id.
    """

    text: str
    fixed: bool
    hashed: bool


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int  # the largest value there is
    size: int  # after how many values it starts over: 7 in the day of week, where 0 and 7 are Sunday
    names: tuple[str, ...] = ()

    def value(self, text: str) -> int:
        if text.upper() in self.names:
            return self.names.index(text.upper()) + self.low
        if re.fullmatch(r"[0-9]{1,4}", text) is None or not self.low <= int(text) <= self.high:
            names = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
            raise ValueError(f"{text!r} is not in {self.low}-{self.high}{names}")
        return int(text)

    def values(self, low: int, high: int, step: int) -> str:
        """From *low* to *high*, over the end of the field and on from its start when *high* is the smaller."""
        last = high if high >= low else high + self.size
        wrapped = ((value - self.low) % self.size + self.low for value in range(low, last + 1, step))
        return ",".join(str(value) for value in dict.fromkeys(wrapped))


_SECOND = _Field("second", 0, 59, 60)
_MINUTE = _Field("minute", 0, 59, 60)
_HOUR = _Field("hour", 0, 23, 24)
_DAY = _Field("day of month", 1, 31, 31)
_MONTH = _Field("month", 1, 12, 12, _MONTHS)
_WEEKDAY = _Field("day of week", 0, 7, 7, _DAYS)
_FIELDS = (_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


def read_cron(expr: str) -> CronFields:
    """Read 5 fields, 6 with the seconds first, or an alias like `@daily`.

    A field takes what Vixie cron takes, and `?` for `*` in the two day fields, ranges over the end (`22-6`, `FRI-MON`),
    `H`, `H/15`, `H(0-29)`, and `L` in the day of month. `15W` in the day of month, `5#2` and `5L` in the day of week
    need a `*` in the other day field. Raises ValueError with a sentence that names the field and the value.
    """
    if len(expr) > _LONGEST:
        raise ValueError(f"a cron expression takes {_LONGEST} characters at most, this has {len(expr)}")
    parts = _spelled_out(expr).split()
    if len(parts) not in (5, 6):
        raise ValueError(f"a cron expression has 5 fields, or 6 with seconds first: {expr!r} has {len(parts)}")
    read = []
    for field, part in zip(_FIELDS[-len(parts) :], parts, strict=True):
        try:
            read.append(_read_field(field, part))
        except ValueError as error:
            raise ValueError(f"cron field {field.name}: {error} (in {expr!r})") from error
    _check_days(expr, day=read[-3], weekday=read[-1])
    minute, hour = parts[-5].upper(), parts[-4].upper()
    return CronFields(
        text=" ".join(read),
        fixed=not minute.startswith(("*", "H/")) and not hour.startswith(("*", "H/")),
        hashed=any(text.startswith("H") for text in read),
    )


def _spelled_out(expr: str) -> str:
    alias = expr.strip().lower()
    if not alias.startswith("@"):
        return expr
    if alias not in _ALIASES:
        near = get_close_matches(alias, _ALIASES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_ALIASES)}"
        raise ValueError(f"unknown cron alias {expr!r}: {hint}")
    return _ALIASES[alias]


def _check_days(expr: str, *, day: str, weekday: str) -> None:
    """Refuse what croniter answers by dropping one of the two day fields, or by never firing."""
    if "W" in day and weekday != "*":
        raise ValueError(f"cron field day of month: {day!r} needs a * as the day of week (in {expr!r})")
    if ("#" in weekday or "L" in weekday) and day != "*":
        raise ValueError(f"cron field day of week: {weekday!r} needs a * as the day of month (in {expr!r})")


def _read_field(field: _Field, part: str) -> str:
    if part == "?" and field in (_DAY, _WEEKDAY):
        return "*"
    hashed = _HASHED.fullmatch(part)
    if hashed:
        return _read_hash(field, part, hashed)
    terms = part.split(",")
    if "*" in terms:
        # Whether a day field *starts* with a star decides between AND and OR: any other star is spelled as a list.
        return "*" if part.startswith("*") else field.values(field.low, field.low + field.size - 1, 1)
    if len(terms) > 1 and any(_NEAREST_WEEKDAY.fullmatch(term) for term in terms):
        raise ValueError(f"a W stands alone, not in the list {part!r}")
    read = [_read_term(field, term, leads=place == 0) for place, term in enumerate(terms)]
    if field is _WEEKDAY and 0 < sum("#" in text or "L" in text for text in read) < len(read):
        raise ValueError(f"{part!r} mixes plain days with a day of the month's first or last week")
    return ",".join(read)


def _read_hash(field: _Field, part: str, hashed: re.Match[str]) -> str:
    most = 28 if field is _DAY else field.low + field.size - 1
    low = field.value(hashed["low"] or str(field.low))
    high = field.value(hashed["high"] or str(most))
    if low >= high:
        raise ValueError(f"the range in {part!r} must end after it starts")
    step = f"/{_step(hashed['step'], part)}" if hashed["step"] else ""
    return f"H({low}-{high}){step}"


def _read_term(field: _Field, term: str, *, leads: bool) -> str:
    every, span = _EVERY.fullmatch(term), _RANGE.fullmatch(term)
    if every:
        step = _step(every["step"], term)
        return f"*/{step}" if leads else field.values(field.low, field.low + field.size - 1, step)
    if special := _read_special(field, term):
        return special
    if span is None:
        raise ValueError(f"{term!r} is not understood")
    low = high = field.value(span["low"])
    if span["high"]:
        high = field.value(span["high"])
    elif span["step"]:
        high = field.high
    return field.values(low, high, _step(span["step"], term))


def _read_special(field: _Field, term: str) -> str | None:
    """Read what only one of the two day fields knows: days counted within the month."""
    if field is _DAY and (term.upper() == "L" or _NEAREST_WEEKDAY.fullmatch(term)):
        field.value(term.upper().rstrip("LW") or "1")
        return term.upper()
    if field is _WEEKDAY and (nth := _NTH_DAY.fullmatch(term)):
        return f"{field.value(nth['day']) % 7}#{nth['nth']}"
    if field is _WEEKDAY and (last := _LAST_DAY.fullmatch(term)):
        return f"L{field.value(last['after'] or last['before']) % 7}"
    return None


def _step(step: str | None, term: str) -> int:
    if step is None:
        return 1
    if re.fullmatch(r"[0-9]{1,4}", step) is None or int(step) == 0:
        raise ValueError(f"the step {step!r} in {term!r} is not a number above 0")
    return int(step)
