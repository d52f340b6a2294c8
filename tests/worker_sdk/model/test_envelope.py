from __future__ import annotations

import json
from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context
from hypothesis import given
from hypothesis import strategies as st
from kombu.serialization import dumps, loads
from taglane.errors import BadParams
from taglane.model.envelope import ENDED_TASK, HEADER, Delivery, first_try, next_try, of_call, pack, unpack
from taglane.model.retry import Retry

APP = Celery("envelopes", set_as_current=False)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
signatures = st.lists(
    st.builds(lambda name: APP.signature(name, (1,)), st.sampled_from(["a.one", "a.two"])), min_size=1, max_size=2
)
options = st.fixed_dictionaries(
    {},
    optional={
        "retries": st.integers(0, 9),
        "root_id": st.sampled_from(["one", "other"]),
        "parent_id": st.just("parent"),
        "group_id": st.just("group"),
        "group_index": st.integers(0, 9),
        "time_limit": st.integers(1, 9),
        "soft_time_limit": st.integers(1, 9),
        "callbacks": signatures,
        "errbacks": signatures,
        "chain": signatures,
        "chord": st.just(APP.signature("a.body")),
        "shadow": st.text(min_size=1),
        "replaced_task_nesting": st.integers(0, 2),
        "ignore_result": st.booleans(),
    },
)
READ = (  # noqa: SIM905 - a list of words
    "id task retries root_id parent_id group group_index timelimit shadow replaced_task_nesting ignore_result stamps"
).split()
"""The headers that a worker acts on."""


def make_message(args: list[Any], kwargs: dict[str, Any], priority: int = 0, **options: Any) -> dict[str, Any]:
    """A task as Celery hands it to a transport."""
    sent = APP.amqp.as_task_v2("one", "a.task", args, kwargs, **options)
    content_type, encoding, body = dumps(sent.body, serializer="json")
    return {
        "body": body,
        "content-type": content_type,
        "content-encoding": encoding,
        "headers": {**sent.headers, **options.get("headers", {})},
        "properties": {**sent.properties, "priority": priority},
    }


def deliver(envelope: str, **fields: Any) -> dict[str, Any]:
    """What a worker gets of it."""
    known: dict[str, Any] = {
        "run": "one",
        "token": 4,
        "envelope": envelope.encode(),
        "attempt": 1,
        "tenant": "acme",
        "tag": "acme.gpu",
        "job": "",
        "due": None,
        "rescues": 0,
        "ended": "",
        "of": "",
        "task": "a.task",
    }
    return unpack(Delivery(**{**known, **fields}))


def acted_on(message: dict[str, Any]) -> dict[str, Any]:
    """The headers that a worker acts on, with what it assumes of those that are absent."""
    headers = message["headers"]
    assumed = {"retries": 0, "timelimit": [None, None], "replaced_task_nesting": 0, "ignore_result": False}
    found: dict[str, Any] = {name: headers.get(name) or assumed.get(name) for name in READ}
    return {**found, "timelimit": list(found["timelimit"]), "root_id": found["root_id"] or "one"}


@given(
    args=st.lists(values, max_size=3),
    kwargs=st.dictionaries(st.text(max_size=5), values, max_size=3),
    priority=st.integers(0, 9),
    options=options,
)
def test_a_message_arrives_as_it_was_sent(
    args: list[Any], kwargs: dict[str, Any], priority: int, options: dict[str, Any]
) -> None:
    """Arguments, canvas, the headers that a worker acts on, and the priority survive the way to the worker."""
    sent = make_message(args, kwargs, priority, **options)

    envelope, _ = pack(sent)
    arrived = deliver(envelope)

    sent_body, body = json.loads(sent["body"]), json.loads(arrived["body"])
    assert sent_body[:2] == body[:2]
    assert {name: each for name, each in sent_body[2].items() if each is not None} == {
        name: each for name, each in body[2].items() if each is not None
    }
    assert acted_on(sent) == acted_on(arrived)
    assert priority == arrived["properties"]["priority"]
    assert ("application/json", "utf-8") == (arrived["content-type"], arrived["content-encoding"])


@given(options=options)
def test_whoever_depends_on_a_run_is_known(options: dict[str, Any]) -> None:
    """Errbacks, a chain or a chord depend on how a run ends; callbacks alone are owed nothing when it fails."""
    _, depends = pack(make_message([], {}, **options))
    assert any(options.get(name) for name in ("errbacks", "chain", "chord")) is depends


@given(text=st.text())
def test_no_argument_passes_for_canvas(text: str) -> None:
    """Whatever an argument says, it is neither taken for the end of the body, nor for someone who depends on it."""
    for tricky in (text, '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}]', '"chord": {}}]'):
        envelope, depends = pack(make_message([tricky], {"x": tricky}))
        assert not depends
        assert [[tricky], {"x": tricky}] == json.loads(deliver(envelope)["body"])[:2]


def test_own_headers_travel() -> None:
    """A header of the application's own arrives; nobody outside can set ours."""
    message = make_message([], {}, headers={"x-colour": "red", HEADER: {"tenant": "other"}})
    headers = deliver(pack(message)[0])["headers"]
    assert ("red", "acme", 4) == (headers["x-colour"], headers[HEADER]["tenant"], headers[HEADER]["token"])


def test_what_both_ends_know_does_not_travel() -> None:
    """A plain call costs its arguments and a few bytes."""
    envelope, _ = pack(make_message([1, 2], {}))
    assert {"b": "[[1, 2], {}, {}]"} == json.loads(envelope)


@pytest.mark.parametrize("content_type", ["application/x-python-serialize", "application/x-yaml", "text/plain", None])
def test_anything_but_json_is_refused(content_type: str | None) -> None:
    """Pickle would let a sender run code in the worker."""
    with pytest.raises(BadParams, match="JSON only"):
        pack({**make_message([], {}), "content-type": content_type})


@given(kwargs=st.dictionaries(st.text(max_size=5), values, max_size=3))
def test_a_plain_call_is_a_message_too(kwargs: dict[str, Any]) -> None:
    """What `enqueue` makes of params arrives as the task's keyword arguments."""
    assert [[], kwargs, {}] == json.loads(deliver(of_call(kwargs))["body"])


@given(kwargs=st.dictionaries(st.text(max_size=5), values, max_size=3))
def test_a_body_is_read_once(kwargs: dict[str, Any]) -> None:
    """What was read to be checked is what kombu would read; what its JSON says in a way of its own is left to it."""
    plain = deliver(of_call(kwargs))
    assert plain["decoded"] == loads(plain["body"], "application/json", "utf-8")

    typed = deliver(of_call({"at": {"__type__": "datetime", "__value__": "2026-01-01T00:00:00"}}))
    assert typed["decoded"] is None


def test_a_call_without_headers_of_its_own_says_so() -> None:
    """Celery would look for them among all that it knows, for each run: it finds what it is told, ours alone."""
    headers = deliver(of_call({"x": 1}))["headers"]

    told, found = Context(headers), Context({name: each for name, each in headers.items() if name != "headers"})
    assert {HEADER: headers[HEADER]} == told.headers == found.headers
    assert "headers" not in deliver(pack(make_message([], {}, headers={"own": "x"}))[0])["headers"]


def test_params_that_are_not_json_are_refused() -> None:
    """They are an error of the caller, not of the worker."""
    with pytest.raises(BadParams, match="not JSON"):
        of_call({"x": object()})


def test_the_end_of_a_run_is_told_in_its_name() -> None:
    """The follow-up of a run that the server ended executes our own task, under the id of the one that ended."""
    envelope, _ = pack(make_message([1], {}, chord=APP.signature("a.body"), group_id="group"))
    headers = deliver(envelope, run="one~end", ended="expired", of="one")["headers"]
    assert (ENDED_TASK, "one", "group") == (headers["task"], headers["id"], headers["group"])
    assert ("one~end", "expired", "a.task") == tuple(headers[HEADER][name] for name in ("run", "ended", "task"))


@pytest.mark.parametrize("envelope", ["", "nonsense", "{}", "[]"])
def test_an_envelope_that_is_none_is_an_error(envelope: str) -> None:
    """Of the kinds that the transport takes for an unreadable run."""
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        deliver(envelope)


@pytest.mark.parametrize(
    ("envelope", "anew"),
    [
        (
            '{"b":"[[],{},{}]","h":{"retries":3,"shadow":"x"},"r":{"attempts":5}}',
            '{"b":"[[],{},{}]","h":{"shadow":"x"},"r":{"attempts":5}}',
        ),
        ('{"b":"[[],{},{}]","h":{"retries":0}}', ""),
        ('{"b":"[[],{},{}]"}', ""),
        ("{", ""),
        ("[]", ""),
    ],
)
def test_a_run_that_is_run_anew_has_had_no_try(envelope: str, anew: str) -> None:
    """The rest is as it was; nothing is made of what needs no change, or can't be read."""
    assert anew == first_try(envelope.encode())


POLICY = Retry(attempts=4, delay=50, on=("ValueError",))


def test_a_policy_and_limits_reach_the_worker() -> None:
    """As they were given: seconds for Celery, hard before soft."""
    message = deliver(of_call({"n": 1}, retry=POLICY, timeout=1_500, soft_timeout=500))

    assert POLICY == Retry.from_fields(message["headers"][HEADER]["retry"])
    assert [1.5, 0.5] == message["headers"]["timelimit"]


def test_the_next_try_is_the_same_with_one_more_behind_it() -> None:
    """Its arguments, its limits and its policy stay."""
    first = of_call({"n": 1}, retry=POLICY, timeout=1_500)
    third = next_try(next_try(first.encode()).encode())

    before, after = deliver(first), deliver(third)
    assert 2 == after["headers"].pop("retries")
    assert before == after


def test_a_task_that_asks_for_another_try_keeps_the_policy() -> None:
    """Which Celery's own message does not know."""
    envelope, _ = pack(make_message([], {}, retries=1), POLICY.fields())

    assert POLICY == Retry.from_fields(deliver(envelope)["headers"][HEADER]["retry"])


def test_what_tells_of_an_end_has_no_policy() -> None:
    """It raises on purpose, in the name of a run that had one."""
    assert "retry" not in deliver(of_call({}, retry=POLICY), ended="dead", of="one")["headers"][HEADER]


@pytest.mark.parametrize("policy", ["[]", "5", "{}", '{"attempts":0}', '{"attempts":"x"}', '{"attempts":2,"x":1}'])
def test_a_policy_that_is_none_is_an_error(policy: str) -> None:
    """A tenant may have written it."""
    with pytest.raises((ValueError, TypeError)):
        deliver(f'{{"b":"[[],{{}},{{}}]","r":{policy}}}')
