"""The settings of a process that runs or enqueues work: each is also an environment variable, `TAGLANE_<NAME>`."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from taglane.errors import BadSetting
from taglane.model.duration import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from dataclasses import Field

PREFIX = "TAGLANE_"

_WORDS = dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True) | dict.fromkeys(
    ("0", "false", "f", "no", "n", "off"), False
)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("Input should be a valid integer, unable to parse string as an integer") from None


def _flag(text: str) -> bool:
    try:
        return _WORDS[text.lower()]
    except KeyError:
        raise ValueError("Input should be a valid boolean, unable to interpret input") from None


def _milliseconds(text: str) -> int:
    """Read a duration, written like ``15s``."""
    return parse_duration(text)


def _level(text: str) -> int:
    """Read a level of `logging`, by its name or as a number."""
    if text.isdigit():
        return int(text)
    names = logging.getLevelNamesMapping()
    if text.upper() not in names:
        raise ValueError(f"it must be a level of logging, like {', '.join(names)}")
    return names[text.upper()]


def _setting(
    default: Any,
    *,
    least: int | None = None,
    most: int | None = None,
    read: Callable[[str], object] | None = None,
    shown: bool = True,
) -> Any:
    """Declare a setting that is no plain text; *read* reads what is not a number or a flag."""
    reader = read or {bool: _flag, int: _whole}.get(type(default), str)
    return field(default=default, repr=shown, metadata={"least": least, "most": most, "read": reader})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Validated once, at start; everything else takes what it needs from here.

    It is a plain class: what pydantic takes at its import, in time and memory, each worker would.
    """

    url: str = "redis://127.0.0.1:6379/0"
    """The server, with the credential: a tenant's own, or the operator's."""

    lease: int = _setting(15_000, least=500, read=_milliseconds)
    """How long, ms, a worker may be silent before its runs are given to others."""

    payload_limit: int = _setting(1_048_576, least=1_024)
    """The most bytes that one run's params may take."""

    result_limit: int = _setting(1_048_576, least=1_024)
    """The most bytes that one run's result may take; a run with a larger one fails, and says so."""

    grace: int = _setting(25_000, least=0, read=_milliseconds)
    """How long, ms, a worker that is told to stop lets its runs go on; what still runs then goes back to its queue."""

    batch: int = _setting(64, least=1, most=1_000)
    """The most runs that one fetch takes."""

    patience: int = _setting(60_000, read=_milliseconds)
    """How long, ms, a worker or scheduler waits for a server that is gone, before it gives up."""

    replicas: int = _setting(0, least=0, most=100)
    """How many replicas must have a run, before `enqueue` returns: what they have outlives the loss of the primary."""

    log_lines: int = _setting(5_000, least=0, most=100_000)
    """How many lines of what a run logs are kept, the last ones; 0: none, and nothing is listened to."""

    log_bytes: int = _setting(1_048_576, least=1_024, most=67_108_864)
    """How many bytes of them, a little more than their text."""

    log_level: int = _setting(logging.INFO, read=_level)
    """From which level on; what is written to stdout and stderr has none, and is kept."""

    watch: str = ""
    """What a scheduler lets tenants use that have no such limits of their own: `connections=500 memory=1GiB`."""

    console_hosts: str = ""
    """Names by which the console is reached beside those of loopback, as in `console.example.com,10.0.0.7:7077`."""

    console_proxy: str = ""
    """Addresses of proxies whose X-Forwarded-For and -Proto the console believes, as in `10.0.0.5,10.1.0.0/16`."""

    smtp: str = ""
    """By which server alerts are mailed: ``smtp://user:password@mail.example.com:587``; none unless set."""

    mail_from: str = ""
    """From which address."""

    webhook_allow: str = ""
    """Networks that alerts of the operator's rules may be sent to beside public addresses: ``10.0.0.0/8,fd00::/8``."""

    webhook_allow_tenants: str = ""
    """Likewise those of tenants' own rules: whoever may set up a webhook for a tenant reaches these."""

    redact: str = ""
    """Words, with commas between: keys of params that have one in them are covered, as passwords and tokens are."""

    health: str = ""
    """Where to tell by HTTP how the process is: HOST:PORT, or PORT of the loopback interface; nowhere unless set."""

    metrics_token: str = _setting("", shown=False)
    """What a scraper of `/metrics` has to show as its bearer token; without one, loopback alone is told."""

    metrics_tenants: int = _setting(200, least=1, most=5_000)
    """How many tenants a scheduler's or console's `/metrics` names, the busiest ones; the others are one, `_other`."""

    metrics_celery: bool = _setting(True)
    """Whether `/metrics` says what it can under the names of celery-exporter, too: its dashboards ask for these."""

    otel: bool = _setting(False)
    """Whether to trace runs from enqueue to end with OpenTelemetry, which the standard OTEL_* variables set up."""


def load_settings(**given: object) -> Settings:
    """Read the settings from the environment; what is *given*, and not None, wins.

    Raises:
        BadSetting: a value is out of range; names the setting and the value.
    """
    environment = {name.upper(): text for name, text in os.environ.items()}
    return read_settings({name: value for name, value in given.items() if value is not None}, environment)


def read_settings(given: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    """Read what is *given*, by the settings' names, else the variables of an *environment*; see `load_settings`."""
    found = {}
    for each in fields(Settings):
        variable = PREFIX + each.name.upper()
        value = given.get(each.name, environment.get(variable))
        if value is not None:
            found[each.name] = _checked(each, variable, value)
    return Settings(**found)  # type: ignore[arg-type]


def _checked(each: Field[Any], variable: str, value: object) -> object:
    least, most = each.metadata.get("least"), each.metadata.get("most")
    try:
        read = each.metadata.get("read", str)(value) if isinstance(value, str) else value
    except ValueError as error:
        raise BadSetting(variable, str(value), str(error)) from error
    if least is not None and read < least:
        raise BadSetting(variable, str(read), f"Input should be greater than or equal to {least}")
    if most is not None and read > most:
        raise BadSetting(variable, str(read), f"Input should be less than or equal to {most}")
    return read
