"""The language of searches: what is written is what is read, and what says nothing is refused where it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.errors import BadQuery
from taglane.model.duration import parse_duration
from taglane.model.query import FIELDS, GROUPS, LONGEST, OPEN, UNWELL, Moment, RunQuery, matches, parse_query
from taglane.model.run import ENDED, STATES, RunInfo

names = st.from_regex(r"[a-z0-9_-]{1,20}\*?", fullmatch=True)
moments = st.one_of(
    st.builds(Moment, ago=st.integers(0, 10**11)), st.builds(Moment, at=st.integers(0, 4_000_000_000_000))
)
queries = st.builds(
    RunQuery,
    tenant=st.one_of(st.just(""), names),
    states=st.frozensets(st.sampled_from(STATES)),
    job=st.one_of(st.just(""), names),
    task=st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9_.:-]{1,20}\*?", fullmatch=True)),
    tag=st.one_of(st.just(""), st.from_regex(r"[a-z0-9_.-]{1,20}\*?", fullmatch=True)),
    since=st.one_of(st.none(), moments),
    until=st.one_of(st.none(), moments),
    id=st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9_.:~@=+-]{1,20}\*?", fullmatch=True)),
)


@given(queries)
def test_what_is_spelled_is_read_back(query: RunQuery) -> None:
    assert query == parse_query(str(query))
    assert str(query) == str(parse_query(str(query)))


@given(
    st.one_of(
        st.text(max_size=60), st.lists(st.sampled_from([*FIELDS, ":", " ", "*", ",", "1h", "failed", "a"])).map("".join)
    )
)
def test_any_text_is_a_query_or_says_where_it_is_none(text: str) -> None:
    """Nothing else is raised, and the place lies in the text or right behind it."""
    error = refusal(text)
    if error is not None:
        assert 1 <= error.position <= len(text) + 1
        assert text[error.position - 1 :].startswith(error.value)
        assert f"at character {error.position}: " in str(error)


def refusal(text: str) -> BadQuery | None:
    try:
        parse_query(text)
    except BadQuery as error:
        return error
    return None


@pytest.mark.parametrize(
    ("text", "position", "why"),
    [
        ("stat:failed", 1, "no field 'stat': did you mean 'state'?"),
        ("job:a  zebra:1", 8, "the fields are tenant, state, job"),
        ("state:failed,queud", 7, "'queud' is no state: did you mean 'queued'?"),
        ("state:zzzz", 7, "there are scheduled"),
        ("job:a job:b", 11, "stands there twice"),
        ("report", 1, "like job:report"),
        ("Report!", 1, "the fields are"),
        ("job:", 5, "lacks its value"),
        ("job:Report", 5, "small letters"),
        ("job:*a", 5, "a * at its end"),
        ("since:tomorrow", 7, "write a duration like 30m"),
        ("since:2026-13-01T00:00:00Z", 7, "is no time"),
        ("x" * (LONGEST + 1), LONGEST + 1, "may have"),
    ],
)
def test_what_says_nothing_is_refused(text: str, position: int, why: str) -> None:
    with pytest.raises(BadQuery, match="at character") as caught:
        parse_query(text)

    assert position == caught.value.position
    assert why in str(caught.value)


def test_an_example() -> None:
    query = parse_query("tenant:acme state:failed,dead job:report* task:shop.* tag:acme.gpu since:1h id:acme.01*")

    expected = RunQuery("acme", frozenset({"failed", "dead"}), "report*", "shop.*", "acme.gpu", Moment(ago=3_600_000))
    assert replace(expected, id="acme.01*") == query
    assert RunQuery() == parse_query("  ")
    assert Moment(at=1_000) == parse_query("until:1970-01-01T00:00:01Z").until


def test_groups_stand_for_their_states() -> None:
    assert {"scheduled", "queued", "running", "retrying"} == OPEN
    assert ENDED - {"succeeded", "skipped"} == UNWELL
    assert OPEN | {"dead"} == parse_query("state:open,dead").states
    for name, states in GROUPS.items():
        assert f"state:{name}" == str(RunQuery(states=states))


def test_its_times_are_of_ends_where_ended_runs_are_asked_for() -> None:
    assert parse_query("state:failed,dead").is_of_ended
    assert not parse_query("state:failed,queued").is_of_ended
    assert not parse_query("").is_of_ended


def test_a_moment_is_an_instant_of_now_or_of_the_calendar() -> None:
    assert 40_000 == Moment(ago=parse_duration("1m")).instant(100_000)
    assert 7 == Moment(at=7).instant(100_000)


def test_patterns() -> None:
    """Whole, or by its beginning; what a run has not is not matched."""
    assert matches("report", "report")
    assert not matches("report", "reports")
    assert matches("report*", "reports")
    assert matches("*", "x")
    assert matches("", None)
    assert not matches("*", None)


def a_run(**fields: Any) -> RunInfo:
    made = {"id": "acme.1", "tenant": "acme", "job": "report", "task": "a.b", "tag": "acme", "state": "failed"}
    times = {"due": None, "queued_at": 1_000, "started_at": None, "finished_at": 9_000, "worker": None, "attempt": 1}
    return RunInfo(**{**made, **times, "result": None, "error": None, **fields})


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("tenant:acme job:rep* task:a.b tag:acme id:acme.*", True),
        ("state:failed since:1970-01-01T00:00:05Z", True),
        ("since:1970-01-01T00:00:05Z", False),
        ("until:1970-01-01T00:00:05Z", True),
        ("state:failed until:5s", False),
        ("state:queued", False),
        ("tenant:other", False),
        ("tag:acme.gpu", False),
    ],
)
def test_what_a_query_takes(text: str, taken: bool) -> None:
    """At ten seconds: the run was queued at one, and ended at nine."""
    assert taken is parse_query(text).takes(a_run(), 10_000)
