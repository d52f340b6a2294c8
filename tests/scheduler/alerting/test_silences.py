"""Silences: of whom, by which rule, until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from taglane.errors import AlertPartNotFound, BadAlertRule
from taglane.store import keys
from taglane_scheduler.alerting.silences import Silence

if TYPE_CHECKING:
    from scheduler.alerting.conftest import Desk

HOUR = 3_600_000


def silence(**fields: str) -> Silence:
    return Silence(name="a", since=0, until=1_000, **fields)


def test_a_silence_covers_what_it_names() -> None:
    """Until it ends; the operator's holds for all rules, a tenant's for its own."""
    assert silence().covers("", "any", "acme", 999)
    assert silence().covers("acme", "any", "acme", 999)
    assert not silence().covers("", "any", "acme", 1_000)
    assert silence(tenant="acme").covers("", "any", "acme", 0)
    assert not silence(tenant="acme").covers("", "any", "acme1", 0)
    assert not silence(rule="late").covers("", "any", "acme", 0)
    assert silence(owner="acme", tenant="acme").covers("acme", "any", "acme", 0)
    assert not silence(owner="acme", tenant="acme").covers("", "any", "acme", 0)


def test_silences_are_kept_until_they_end(desk: Desk) -> None:
    """Then they are gone, and those that last are listed by when they end."""
    silences = desk.alerting.silences
    long = silences.put(2 * HOUR, tenant="acme", why="a new machine")
    short = silences.put(HOUR)
    past = silence().model_copy(update={"name": "past"})
    desk.redis.hset(keys.ALERT_SILENCES, "/past", past.model_dump_json())

    assert [short, long] == silences.list()
    assert 2 == desk.redis.hlen(keys.ALERT_SILENCES)
    assert 2 * HOUR == long.until - long.since
    silences.delete(short.name)
    with pytest.raises(AlertPartNotFound):
        silences.delete(short.name)
    assert [long] == silences.list("")
    assert [] == silences.list("acme")


@pytest.mark.parametrize(
    ("duration", "fields", "named"),
    [
        (0, {}, "silence.for: '0s'"),
        (31 * 24 * HOUR, {}, "silence.for: '31d'"),
        (HOUR, {"owner": "acme"}, "silence.tenant: '*'"),
        (HOUR, {"tenant": "A"}, "silence.tenant: 'A'"),
        (HOUR, {"rule": "A"}, "silence.rule: 'A'"),
        (HOUR, {"why": "x" * 201}, "silence.why"),
    ],
)
def test_a_mistake_is_told(desk: Desk, duration: int, fields: dict[str, str], named: str) -> None:
    """With field and value."""
    with pytest.raises(BadAlertRule) as caught:
        desk.alerting.silences.put(duration, **fields)
    assert str(caught.value).startswith(named)
    assert [] == desk.alerting.silences.list()
