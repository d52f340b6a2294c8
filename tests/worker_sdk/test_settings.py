from __future__ import annotations

import logging
from dataclasses import FrozenInstanceError, fields

import pytest
from taglane.errors import BadSetting
from taglane.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting comes from where the tests are started."""
    for each in fields(Settings):
        monkeypatch.delenv(f"TAGLANE_{each.name.upper()}", raising=False)


def test_defaults() -> None:
    """Nothing has to be set."""
    settings = load_settings()

    assert ("redis://127.0.0.1:6379/0", 15_000, 1_048_576, 64, 60_000) == (
        settings.url,
        settings.lease,
        settings.payload_limit,
        settings.batch,
        settings.patience,
    )


def test_each_is_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Durations are written as everywhere else."""
    for name, value in {"URL": "redis://h:1/2", "LEASE": "2s", "PAYLOAD_LIMIT": "2048", "BATCH": "7"}.items():
        monkeypatch.setenv(f"TAGLANE_{name}", value)

    settings = load_settings()

    assert ("redis://h:1/2", 2_000, 2_048, 7) == (
        settings.url,
        settings.lease,
        settings.payload_limit,
        settings.batch,
    )


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument that is None was not given."""
    monkeypatch.setenv("TAGLANE_URL", "redis://from.environment/0")

    assert "redis://given/0" == load_settings(url="redis://given/0").url
    assert "redis://from.environment/0" == load_settings(url=None).url


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("TAGLANE_LEASE", "100ms", "='100': Input should be greater than or equal to 500"),
        ("TAGLANE_LEASE", "15", "='15': '15' is not a duration"),
        ("TAGLANE_PATIENCE", "-1s", "not a duration"),
        ("TAGLANE_PAYLOAD_LIMIT", "1023", "greater than or equal to 1024"),
        ("TAGLANE_BATCH", "0", "greater than or equal to 1"),
        ("TAGLANE_BATCH", "1001", "less than or equal to 1000"),
        ("TAGLANE_BATCH", "many", "valid integer"),
        ("TAGLANE_LOG_LINES", "100001", "less than or equal to 100000"),
        ("TAGLANE_LOG_LEVEL", "loud", "a level of logging, like CRITICAL"),
    ],
)
def test_bad_values_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str) -> None:
    """A value that can't be is refused at the start, with the variable, the value and the reason."""
    monkeypatch.setenv(name, value)

    with pytest.raises(BadSetting, match=why) as caught:
        load_settings()

    assert name == caught.value.name
    assert str(caught.value).startswith(f"{name}='")


def test_settings_do_not_change() -> None:
    """They are read once: who holds them can rely on them."""
    with pytest.raises(FrozenInstanceError):
        load_settings().batch = 1  # type: ignore[misc]


def test_what_bounds_the_end_of_a_worker_and_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grace of 25 s, a result of 1 MiB, unless it is said otherwise."""
    assert (25_000, 1_048_576) == (load_settings().grace, load_settings().result_limit)

    monkeypatch.setenv("TAGLANE_GRACE", "0s")
    monkeypatch.setenv("TAGLANE_RESULT_LIMIT", "2048")
    assert (0, 2_048) == (load_settings().grace, load_settings().result_limit)


def test_a_level_is_a_name_or_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `logging` has them, in either case."""
    found = []
    for text in ("INFO", "warning", "15"):
        monkeypatch.setenv("TAGLANE_LOG_LEVEL", text)
        found.append(load_settings().log_level)

    assert [logging.INFO, logging.WARNING, 15] == found
