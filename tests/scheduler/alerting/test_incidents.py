"""What is told of a thing that comes and goes: pure decisions."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from taglane_scheduler.alerting.incidents import REFRESH_MS, Finding, Incident, decide, read_incident
from taglane_scheduler.alerting.rules import AlertRule, make_rule

SILENCE = 60_000


def rule(**fields: Any) -> AlertRule:
    return make_rule(**{"name": "r", "on": "late", "channels": ["ops"], "silence": SILENCE, **fields})


def finding(text: str = "late", **fields: Any) -> Finding:
    return Finding("/r", "late", "acme", "report", text, **fields)


class Play:
    """One subject, looked at again and again; what was told, and when."""

    def __init__(self, **fields: Any) -> None:
        self.rule: AlertRule | None = rule(**fields)
        self.now = 1_000_000
        self.record: Incident | None = None
        self.told: list[tuple[int, str, str]] = []

    def look(self, wrong: bool, *, silent: bool = False, later: int = 5_000) -> None:
        self.now += later
        found = finding() if wrong else None
        step = decide(self.record, found, self.rule, now=self.now, silent=silent, new_id=f"i{self.now}")
        self.record = step.after
        if step.say:
            assert step.after
            self.told.append((self.now, step.say, step.after.id))

    @property
    def said(self) -> list[str]:
        return [say for _, say, _ in self.told]


def test_one_message_as_it_begins_and_one_as_it_ends() -> None:
    """And none between; then nothing is left of it."""
    play = Play()
    for wrong in (True, True, True, False, False):
        play.look(wrong)
    assert ["firing", "over"] == play.said
    assert play.record
    play.look(False, later=SILENCE)
    assert None is play.record


def test_what_comes_and_goes_is_told_of_once_in_its_silence() -> None:
    """And again when that ends and it is wrong then."""
    play = Play()
    for wrong in (True, False, True, False, True):
        play.look(wrong)
    assert ["firing", "over"] == play.said
    play.look(True, later=SILENCE)
    assert ["firing", "over", "firing"] == play.said


def test_a_silence_delays_what_is_wrong_and_not_what_is_over() -> None:
    """What is wrong still when the silence ends is told then; what was over before is never told."""
    play = Play()
    play.look(True, silent=True)
    play.look(False, silent=True)
    assert [] == play.said
    assert None is play.record
    play.look(True, silent=True)
    play.look(True)
    play.look(False, silent=True)
    assert ["firing", "over"] == play.said


def test_a_rule_may_want_no_word_of_the_end() -> None:
    """Then there is none."""
    play = Play(recovered=False)
    play.look(True)
    play.look(False)
    assert ["firing"] == play.said


def test_a_rule_that_goes_ends_what_it_told_of() -> None:
    """A pager has it open; who was told hears that it is over."""
    play = Play()
    play.look(True)
    play.rule = None
    play.look(True)
    assert ["firing", "over"] == play.said
    play.look(True)
    assert None is play.record


def test_a_record_is_written_when_there_is_something_to_write() -> None:
    """Now and then for what has changed, not at each look."""
    first = decide(None, finding("a"), rule(), now=1_000, silent=False, new_id="i").after
    assert first
    again = decide(first, finding("b"), rule(), now=2_000, silent=False, new_id="j")
    later = decide(first, finding("b"), rule(), now=1_000 + REFRESH_MS, silent=False, new_id="j")

    assert first is again.after
    assert later.after
    assert ("b", "i", 1_000) == (later.after.text, later.after.id, later.after.since)


@given(
    looks=st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, SILENCE)), max_size=60),
    recovered=st.booleans(),
)
def test_whatever_happens_messages_alternate(looks: list[tuple[bool, bool, int]], recovered: bool) -> None:
    """Wrong, over, wrong, over; wrong no sooner than the silence lets it; what is told as over was told as wrong.

    And what is wrong for long, with nobody silencing it, has been told.
    """
    play = Play(recovered=recovered)
    for wrong, silent, later in looks:
        play.look(wrong, silent=silent, later=later)

    begun = [at for at, say, _ in play.told if say == "firing"]
    assert all(later - at >= SILENCE for at, later in pairwise(begun))
    if recovered:
        assert play.said == ["firing", "over"] * (len(play.said) // 2) + ["firing"] * (len(play.said) % 2)
    for (_, before, told), (_, say, ended) in pairwise(play.told):
        if say == "over":
            assert ("firing", told) == (before, ended)
    play.look(True)
    play.look(True, later=SILENCE)
    assert play.record
    assert "firing" == play.record.said == play.said[-1]


@given(st.binary(max_size=200))
def test_what_is_no_record_is_none(kept: bytes) -> None:
    """Whatever it is."""
    assert None is read_incident(kept)


def test_a_record_is_read_as_it_was_written() -> None:
    """All of it; with a field too many or too few, or of another type, it is none."""
    made = decide(None, finding("x" * 9_999, count=3, command="c"), rule(), now=5, silent=False, new_id="i").after
    assert made
    assert 500 == len(made.text)
    assert made == read_incident(made.kept().encode())
    assert made.key == finding().key
    for kept in (made.kept()[:-1] + ',"x":1}', made.kept().replace('"told":5', '"told":"5"'), "{}", "7", "null"):
        assert None is read_incident(kept.encode())
