from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.model.run import (
    BRIEF,
    ENDED,
    FIELDS,
    STATES,
    RunInfo,
    Try,
    describe_error,
    from_fields,
    read_outcome,
    read_tries,
)


def make_fields(**fields: str) -> list[bytes | None]:
    """The values of FIELDS, as the server answers: those of a queued run, changed."""
    kept = {"state": "queued", "task": "shop.tasks.report", "tag": "acme", "queued_at": "1000", **fields}
    assert set(kept) <= set(FIELDS)
    return [kept[name].encode() if name in kept else None for name in FIELDS]


def make_run(**fields: str) -> RunInfo:
    run = from_fields("acme.1", "acme", make_fields(**fields))
    assert run is not None
    return run


def test_a_waiting_run() -> None:
    """What is not known of it is None; attempts and deaths count from 0."""
    expected = RunInfo(
        id="acme.1",
        tenant="acme",
        job=None,
        task="shop.tasks.report",
        tag="acme",
        state="queued",
        due=None,
        queued_at=1_000,
        started_at=None,
        finished_at=None,
        worker=None,
        attempt=0,
        result=None,
        error=None,
    )

    assert expected == make_run()
    assert not expected.is_ended


def test_a_run_that_succeeded() -> None:
    """With its times, its worker and its result."""
    run = make_run(
        state="succeeded",
        job="report",
        due="900",
        started_at="1100",
        finished_at="1200",
        holder="w1",
        attempts="2",
        deaths="1",
        result='{"r":{"sum":7}}',
        of="acme.0",
    )

    assert ("report", 900, 1_000, 1_100, 1_200) == (
        run.job,
        run.due,
        run.queued_at,
        run.started_at,
        run.finished_at,
    )
    assert ("w1", 2, 1, {"sum": 7}, "acme.0") == (run.worker, run.attempt, run.deaths, run.result, run.of)
    assert (None, None) == (run.error, run.traceback)
    assert run.is_ended


def test_a_run_that_failed() -> None:
    """With the error that its task raised, and the traceback; what it returned before does not count."""
    outcome = {"e": {"exc_type": "ValueError", "exc_message": ["no", 5]}, "tb": "Traceback …", "r": 1}

    run = make_run(state="failed", result=json.dumps(outcome))

    assert (None, "ValueError: no, 5", "Traceback …") == (run.result, run.error, run.traceback)


def test_what_the_server_says_of_an_end() -> None:
    """A run that no worker ended has the server's reason as its error."""
    assert "worker w died in it; deaths: 3" == make_run(state="dead", error="worker w died in it; deaths: 3").error


def test_what_the_server_says_overrules_an_earlier_attempt() -> None:
    """A run that failed, was tried again and killed its workers has died of that, not of the first error."""
    run = make_run(state="dead", error="worker w died in it; deaths: 3", result='{"e":"no","tb":"Traceback"}')

    assert ("worker w died in it; deaths: 3", None) == (run.error, run.traceback)


def test_a_run_that_waits_for_the_one_before() -> None:
    """It is parked until then, and never when it has ended: who looks for what is parked finds no old news."""
    assert (True, "scheduled") == ((run := make_run(state="scheduled", parked="1")).parked, run.state)
    assert not make_run(state="cancelled", parked="1").parked
    assert not make_run(state="scheduled").parked


def test_a_run_that_was_asked_to_stop_says_why() -> None:
    """Also when it went on to its end."""
    assert "too slow" == make_run(state="running", cancel="too slow").asked_to_stop
    assert "too slow" == make_run(state="succeeded", cancel="too slow").asked_to_stop
    assert make_run().asked_to_stop is None


DIED = '{"n":1,"w":"w1","s":1100,"t":1200,"h":"died","e":"its worker died"}'


def test_the_attempts_of_a_run() -> None:
    """Those that are on record, and the last one, which the run itself tells of."""
    first = Try(1, "w1", 1_100, 1_200, "died", "its worker died", None)
    later = {"tries": DIED, "attempts": "2", "holder": "w2", "result": '{"e":"no","tb":"Traceback"}'}

    waiting, going, over = (
        make_run(tries=DIED, attempts="1", holder="w1"),
        make_run(**later, state="running", started_at="1300"),
        make_run(**later, state="failed", started_at="1300", finished_at="1400"),
    )

    assert ((first,), (first,)) == (waiting.tries, waiting.attempts)
    assert ("running", 1_300, None) == (going.attempts[1].how, going.attempts[1].started_at, going.attempts[1].ended_at)
    assert (first, Try(2, "w2", 1_300, 1_400, "failed", "no", "Traceback")) == over.attempts


def test_an_attempt_that_ended_its_run_is_told_once() -> None:
    """The death that made a dead letter is on record already."""
    run = make_run(state="dead", tries=DIED, attempts="1", holder="w1", started_at="1100")

    assert run.tries == run.attempts


def test_a_run_without_an_attempt() -> None:
    """One that waits, or was held by a worker that did not start it, has none."""
    assert () == make_run().attempts == make_run(attempts="1", holder="w1").attempts


def test_a_list_leaves_the_tries_out() -> None:
    """They may be large."""
    values = make_fields(attempts="2")[: len(BRIEF)]

    run = from_fields("acme.1", "acme", values)

    assert run is not None
    assert (2, ()) == (run.attempt, run.tries)


@given(st.binary() | st.lists(st.sampled_from([DIED.encode(), b"{", b"5", b'{"n":"x"}', b'{"n":7,"w":5,"s":"x"}'])))
def test_whatever_is_stored_as_tries_can_be_read(stored: bytes | list[bytes]) -> None:
    """What is no try is passed over, and hides no other."""
    lines = stored if isinstance(stored, list) else [stored]

    found = read_tries(b"\n".join(lines))

    assert lines.count(DIED.encode()) == sum(each.worker == "w1" for each in found)
    assert all(isinstance(each.attempt, int) for each in found)


def test_a_replaced_run_goes_on() -> None:
    """While other runs do its work, its readers see it running."""
    run = make_run(state="replaced")

    assert "running" == run.state
    assert not run.is_ended


def test_no_state_is_no_run() -> None:
    """A hash without a state is what is left of something else."""
    assert from_fields("acme.1", "acme", [None] * len(FIELDS)) is None
    assert from_fields("acme.1", "acme", [None, *make_fields()[1:]]) is None


def test_the_states() -> None:
    """Each final state is a state, and none is called pending."""
    assert set(STATES) > ENDED
    assert {"scheduled", "queued", "running", "retrying"} == set(STATES) - ENDED
    assert "pending" not in STATES


@pytest.mark.parametrize("state", STATES)
def test_only_a_run_that_succeeded_has_a_result(state: str) -> None:
    """A progress report or an earlier try's result is none."""
    assert (7 if state == "succeeded" else None) == make_run(state=state, result='{"r":7}').result


@given(st.text() | st.binary())
def test_whatever_is_stored_as_a_result_can_be_read(text: str | bytes) -> None:
    """A result that is no JSON, or another JSON than ours, is an error to see, not one to raise."""
    outcome = read_outcome(text)

    assert isinstance(outcome, dict)
    if "e" in outcome:
        assert describe_error(outcome["e"])


def test_an_unreadable_result_says_so() -> None:
    """A run with one is shown with that as its error."""
    assert "Unreadable: the stored result is not JSON" == make_run(state="failed", result="{").error


@pytest.mark.parametrize("text", [None, "", b"", "[]", "5", "null", '"x"'])
def test_no_outcome(text: str | None) -> None:
    """Nothing stored, or no object, is an empty outcome."""
    assert {} == read_outcome(text)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({"exc_type": "ValueError", "exc_message": ["no"]}, "ValueError: no"),
        ({"exc_type": "ValueError", "exc_message": ["no", 5]}, "ValueError: no, 5"),
        ({"exc_type": "ValueError", "exc_message": "no"}, "ValueError: no"),
        ({"exc_type": "ValueError", "exc_message": []}, "ValueError"),
        ({"exc_type": "ValueError"}, "ValueError"),
        ({}, "Error"),
        ("plain", "plain"),
        (5, "5"),
    ],
)
def test_errors_are_described(error: Any, text: str) -> None:
    """As Celery stores them, `Type: message`; anything else as it is."""
    assert text == describe_error(error)
