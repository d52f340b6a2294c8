"""What receivers get."""

from __future__ import annotations

import json

from taglane_scheduler.alerting.incidents import Incident
from taglane_scheduler.alerting.message import lines, messages_of, packed, subject_line, trial

INCIDENT = Incident(
    id="1f-ab",
    rule="acme/nights",
    kind="failed",
    tenant="acme",
    subject="report",
    text="3 runs of job report failed",
    count=3,
    command="taglane run list 'job:report'",
    since=1_000,
    seen=2_000,
    state="over",
    ended=95_500,
)


def test_a_message_is_the_same_whoever_makes_it() -> None:
    """One for each channel of the rule's owner, known by incident, state and channel."""
    (to_first, first), (to_second, second) = messages_of(INCIDENT, "firing", ["ops", "chat"], 3_000)

    assert {
        "version": 1,
        "id": "1f-ab.firing.ops",
        "state": "firing",
        "text": "acme: 3 runs of job report failed",
        "kind": "failed",
        "tenant": "acme",
        "subject": "report",
        "count": 3,
        "rule": "nights",
        "incident": "1f-ab",
        "since": "1970-01-01T00:00:01Z",
        "at": "1970-01-01T00:00:03Z",
        "ended": None,
        "command": "taglane run list 'job:report'",
        "channel": "ops",
    } == first
    assert ("1f-ab.firing.chat", "chat") == (second["id"], second["channel"])
    assert ("acme/ops", "acme/chat") == (to_first, to_second)
    assert first == json.loads(packed(first))


def test_an_end_says_how_long_it_lasted() -> None:
    """And when it was over."""
    ((_, over),) = messages_of(INCIDENT, "over", ["ops"], 96_000)
    assert "over: acme: 3 runs of job report failed (it lasted 1m34s)" == over["text"]
    assert "1970-01-01T00:01:35.500Z" == over["ended"]
    assert "over: 1970-01-01T00:01:35.500Z" in lines(over)


def test_a_person_reads_lines() -> None:
    """The text, what it is about, and the command that shows or mends it; the subject is one line, and short."""
    ((_, message),) = messages_of(INCIDENT, "firing", ["ops"], 3_000)
    text = lines(message)
    assert text.startswith("acme: 3 runs of job report failed\n\n")
    assert "\n    taglane run list 'job:report'\n" in text
    assert "[taglane] a b" == subject_line({"text": "a\r\nb"})
    assert 150 == len(subject_line({"text": "x" * 999}))
    assert "nothing is wrong" in lines(trial("ops", "t", 0))
