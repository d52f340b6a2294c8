"""Rules: what may be said, and what a mistake is told as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from taglane.errors import AlertPartNotFound, BadAlertRule, ChannelInUse
from taglane_scheduler.alerting.records import plain
from taglane_scheduler.alerting.rules import KINDS, STANDING, AlertRule, make_rule

if TYPE_CHECKING:
    from scheduler.alerting.conftest import Desk


def rule(**fields: Any) -> AlertRule:
    return make_rule(**{"name": "first", "on": "failed", "channels": ["ops"], **fields})


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_needs_nothing_but_a_channel(kind: str) -> None:
    """What is not said has a default; the rule can say itself, and is read as it was written."""
    made = rule(on=kind)

    assert made.says.startswith(kind)
    assert made.count >= 1
    assert made == AlertRule.model_validate(plain(made))


@pytest.mark.parametrize(
    ("fields", "field", "why"),
    [
        ({"name": "A b"}, "name", "job 'A b' must be"),
        ({"on": "fire"}, "on", "one of failed, dead_letter"),
        ({"owner": "shared"}, "owner", "reserved"),
        ({"tenant": "A"}, "tenant", "tenant 'A' must be"),
        ({"owner": "acme", "tenant": "globex"}, "tenant", "is about 'acme', not 'globex'"),
        ({"owner": "acme", "tenant": "*"}, "tenant", "is about 'acme'"),
        ({"job": "re*port"}, "job", "job 're*port' must be"),
        ({"tag": "acme.gpu"}, "tag", "a rule on 'failed' has none"),
        ({"on": "no_worker", "tenant": "acme", "tag": "globex"}, "tag", "not one of tenant 'acme'"),
        ({"threshold": 0}, "threshold", "greater than or equal to 1"),
        ({"threshold": "many"}, "threshold", "integer"),
        ({"threshold": 1_001}, "threshold", "1000 at most"),
        ({"window": "5"}, "window", "write it like 30s"),
        ({"window": "30s"}, "window", "at least 1m"),
        ({"window": "8d"}, "window", "less than or equal to"),
        ({"after": "5m"}, "after", "takes in_a_row, job, threshold, window"),
        ({"on": "late", "threshold": 3}, "threshold", "takes after, job"),
        ({"in_a_row": True}, "in_a_row", "it is of a job"),
        ({"in_a_row": True, "job": "*", "window": "5m"}, "in_a_row", "no window"),
        ({"in_a_row": True, "job": "*", "threshold": 2}, "threshold", "3 to 100"),
        ({"on": "missed", "job": "*"}, "job", "of one job"),
        ({"owner": "acme", "silence": 1_000}, "silence", "at least 1m"),
        ({"silence": -1}, "silence", "greater than or equal to 0"),
        ({"channels": []}, "channels", "at least 1"),
        ({"channels": ["A"]}, "channels", "job 'A' must be"),
        ({"chanels": ["ops"]}, "chanels", "there is no such field; there are owner, name, on"),
    ],
)
def test_a_mistake_is_told_with_field_and_value(fields: dict[str, Any], field: str, why: str) -> None:
    """The first one; in one line."""
    with pytest.raises(BadAlertRule) as caught:
        rule(**fields)

    assert field == caught.value.field.partition(".")[0]
    assert f"rule.{caught.value.field}: {fields[field]!r} can't be: " in str(caught.value)
    assert why in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())


def test_a_job_is_matched_whole_or_by_its_beginning() -> None:
    """`report*` is each that begins so; without the star it is that one."""
    assert rule(job="report").has_job("report")
    assert not rule(job="report").has_job("report2")
    assert rule(job="report*").has_job("report2")
    assert rule(job="*").has_job("report")
    assert not rule(job="report*").has_job("repo")


def test_a_rule_says_itself() -> None:
    """In the words of its fields."""
    assert "failed, 1 within 10m" == rule().says
    assert "failed, 3 in a row" == rule(in_a_row=True, job="*").says
    assert "queue_longer, more than 50, for 2m" == rule(on="queue_longer", threshold=50, after="2m").says
    assert "late, for 1m" == rule(on="late").says
    assert set(STANDING) <= set(KINDS)


def test_a_rule_sends_to_its_owners_channels_alone(desk: Desk) -> None:
    """A tenant's rule can't use the operator's channel, nor another tenant's; a channel that is used stays."""
    desk.channel("https://example.com/a")
    desk.channel("https://example.com/b", owner="globex")
    with pytest.raises(AlertPartNotFound, match="no alert channel 'ops' of tenant 'acme'"):
        desk.rule(owner="acme")

    desk.channel("https://example.com/c", owner="acme")
    desk.rule(owner="acme")

    assert ["acme"] == [each.tenant for each in desk.alerting.rules.list("acme")]
    assert [] == desk.alerting.rules.list("")
    desk.alerting.rules.require_unused("ops")
    with pytest.raises(ChannelInUse, match="used by rule first"):
        desk.alerting.rules.require_unused("ops", "acme")
    desk.alerting.rules.delete("first", "acme")
    desk.alerting.rules.require_unused("ops", "acme")
