"""The settings of a process that runs or enqueues work: each is also an environment variable, `TAGLANE_<NAME>`."""

from __future__ import annotations

import logging
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from taglane.errors import BadSetting
from taglane.model.duration import parse_duration

Milliseconds = Annotated[int, BeforeValidator(lambda value: parse_duration(value) if isinstance(value, str) else value)]
"""A duration in ms, written like ``15s``."""


def _level(value: object) -> object:
    if isinstance(value, str) and not value.isdigit():
        names = logging.getLevelNamesMapping()
        if value.upper() not in names:
            raise ValueError(f"it must be a level of logging, like {', '.join(names)}")
        return names[value.upper()]
    return value


Level = Annotated[int, BeforeValidator(_level)]
"""A level of `logging`, by its name or as a number."""


class Settings(BaseSettings):
    """Validated once, at start; everything else takes what it needs from here."""

    model_config = SettingsConfigDict(env_prefix="TAGLANE_", frozen=True, extra="ignore")

    url: str = "redis://127.0.0.1:6379/0"
    """The server, with the credential: a tenant's own, or the operator's."""

    lease: Milliseconds = Field(default=15_000, ge=500)
    """How long, ms, a worker may be silent before its runs are given to others."""

    payload_limit: int = Field(default=1_048_576, ge=1_024)
    """The most bytes that one run's params may take."""

    result_limit: int = Field(default=1_048_576, ge=1_024)
    """The most bytes that one run's result may take; a run with a larger one fails, and says so."""

    grace: Milliseconds = Field(default=25_000, ge=0)
    """How long, ms, a worker that is told to stop lets its runs go on; what still runs then goes back to its queue."""

    batch: int = Field(default=64, ge=1, le=1_000)
    """The most runs that one fetch takes."""

    patience: Milliseconds = 60_000
    """How long, ms, a worker or scheduler waits for a server that is gone, before it gives up."""

    replicas: int = Field(default=0, ge=0, le=100)
    """How many replicas must have a run, before `enqueue` returns: what they have outlives the loss of the primary."""

    log_lines: int = Field(default=5_000, ge=0, le=100_000)
    """How many lines of what a run logs are kept, the last ones; 0: none, and nothing is listened to."""

    log_bytes: int = Field(default=1_048_576, ge=1_024, le=67_108_864)
    """How many bytes of them, a little more than their text."""

    log_level: Level = logging.INFO
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

    metrics_token: str = Field(default="", repr=False)
    """What a scraper of `/metrics` has to show as its bearer token; without one, loopback alone is told."""

    metrics_tenants: int = Field(default=200, ge=1, le=5_000)
    """How many tenants a scheduler's or console's `/metrics` names, the busiest ones; the others are one, `_other`."""

    metrics_celery: bool = True
    """Whether `/metrics` says what it can under the names of celery-exporter, too: its dashboards ask for these."""

    otel: bool = False
    """Whether to trace runs from enqueue to end with OpenTelemetry, which the standard OTEL_* variables set up."""


def load_settings(**given: object) -> Settings:
    """Read the settings from the environment; what is *given*, and not None, wins.

    Raises:
        BadSetting: a value is out of range; names the setting and the value.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "TAGLANE_" + "_".join(str(part) for part in first["loc"]).upper()
        raise BadSetting(name, str(first["input"]), first["msg"]) from error
