"""What the publisher refuses: nothing listens at `URL`, so whatever passed would be another error."""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import Any

import pytest
from celery import Celery
from factories import make_server
from kombu.serialization import dumps
from taglane.context import CurrentRun, executing, tenant
from taglane.errors import (
    BadName,
    BadParams,
    OtherTenant,
    ServerUnavailable,
    TagNotOwned,
    TenantDraining,
    TenantMissing,
)
from taglane.model.envelope import HEADER
from taglane.runtime import carry
from taglane.runtime.publisher import publish, reachable_tenant
from taglane.store.limits import LimitStore

URL = "redis://127.0.0.1:1/0"
TENANTS_URL = "redis://taglane-acme:secret@127.0.0.1:1/0"
APP = Celery("publisher", set_as_current=False)


def make_message(run_id: str = "acme.1", *, size: int = 0, **options: Any) -> dict[str, Any]:
    """A task as Celery hands it to a transport."""
    sent = APP.amqp.as_task_v2(run_id, "a.task", ["x" * size], {}, **options)
    content_type, encoding, body = dumps(sent.body, serializer="json")
    properties = {**sent.properties, "priority": options.get("priority", 0)}
    return {
        "body": body,
        "content-type": content_type,
        "content-encoding": encoding,
        "headers": sent.headers,
        "properties": properties,
    }


def test_no_tenant_in_reach_is_an_error_at_the_call() -> None:
    """Before the server is asked anything."""
    with pytest.raises(TenantMissing, match=r"a\.task was sent with no tenant in reach"):
        publish(URL, "celery", make_message())


@pytest.mark.parametrize(
    ("url", "block", "expected"),
    [(URL, None, None), (URL, "globex", "globex"), (TENANTS_URL, None, "acme"), (TENANTS_URL, "globex", "globex")],
)
def test_whose_a_task_is(url: str, block: str | None, expected: str | None) -> None:
    """The block's, else the credential's: which will be refused a tenant that is not its own."""
    if block is None:
        assert expected == reachable_tenant(url)
        return
    with tenant(block):
        assert expected == reachable_tenant(url)


@pytest.mark.parametrize("queue", ["Big", "a b", "x" * 64, "q:1", "a.b.c"])
def test_a_queue_that_cant_be_a_tag_is_an_error(queue: str) -> None:
    """It says which name, and what a tag looks like."""
    with pytest.raises((BadName, TagNotOwned), match="tag"):
        publish(TENANTS_URL, queue, make_message())


def test_another_tenants_tag_is_an_error() -> None:
    """A queue may be called by its whole tag, but only the tenant's own."""
    with pytest.raises(TagNotOwned, match="globex"):
        publish(TENANTS_URL, "globex.q", make_message())


@pytest.mark.parametrize("queue", ["celery", "q", "acme", "acme.q", "shared.q", "orders"])
def test_a_queue_that_is_a_tag_passes(queue: str) -> None:
    """The next thing is the server, which is not there."""
    with pytest.raises(ServerUnavailable):
        publish(TENANTS_URL, queue, make_message(), "orders")


def test_a_run_sends_for_its_own_tenant_alone() -> None:
    """Whatever the credential reaches: a block inside of a task opens no other tenant."""
    run = CurrentRun(id="acme.1", tenant="acme", tag="acme", job=None, due=None, attempt=1, token=1)
    with (
        executing(run),
        tenant("globex"),
        pytest.raises(OtherTenant, match="a run of tenant 'acme' reaches no other tenant"),
    ):
        publish(URL, "celery", make_message())


def test_arguments_over_the_limit_are_an_error_at_the_call() -> None:
    """It says how large they are, and what the limit is called."""
    with pytest.raises(BadParams, match="TAGLANE_PAYLOAD_LIMIT"):
        publish(TENANTS_URL, "celery", make_message(size=2_000_000))


@pytest.mark.parametrize("run_id", ["", "a b", "{acme}", "x" * 201])
def test_a_task_id_that_cant_be_a_key_is_an_error(run_id: str) -> None:
    """A brace would take the run to another slot, and another tenant."""
    with pytest.raises(BadName, match="run id"):
        publish(TENANTS_URL, "celery", make_message(run_id))


def test_a_task_that_sends_itself_is_not_sent() -> None:
    """It is noted as the next attempt of the run, and written with the end of this one: the server is not asked."""

    def tracer(*_: Any) -> tuple[int, Any, float]:
        publish(URL, "q", make_message("acme.1", priority=6, retries=1, countdown=1.0))
        return 0, "None", 0.1

    run = {"run": "acme.1", "token": 1, "tenant": "acme", "tag": "acme", "job": None, "due": None, "attempt": 1}
    _, outcome = carry.execute(tracer, "a.task", "acme.1", {HEADER: run})

    assert outcome is not None
    assert outcome.again is not None
    at, envelope, task, tag, step = outcome.again
    assert ("a.task", "acme.q", 6) == (task, tag, step)
    assert '"retries":1' in envelope
    assert at.startswith("+")


@pytest.mark.parametrize(("nesting", "kept"), [(0, True), (1, False)])
def test_a_next_try_keeps_the_jobs_policy(nesting: int, kept: bool) -> None:
    """What takes the run's place, by Task.replace, is another task, and has it not."""

    def tracer(*_: Any) -> tuple[int, Any, float]:
        publish(URL, "q", make_message("acme.1", retries=1, replaced_task_nesting=nesting))
        return 0, "None", 0.1

    run = {"run": "acme.1", "token": 1, "tenant": "acme", "tag": "acme", "job": None, "due": None, "attempt": 1}
    _, outcome = carry.execute(tracer, "a.task", "acme.1", {HEADER: {**run, "retry": {"attempts": 3}}})

    assert outcome is not None
    assert outcome.again is not None
    assert kept == ('"r":{"attempts":3}' in outcome.again[1])
    assert "" == outcome.again[4]


def test_another_tasks_message_is_sent_at_once() -> None:
    """Of all that a task sends, its own id alone waits for its end."""
    run = CurrentRun(id="acme.1", tenant="acme", tag="acme", job=None, due=None, attempt=1, token=1)
    with executing(run), pytest.raises(ServerUnavailable):
        publish(URL, "q", make_message("acme.2"))


@pytest.mark.parametrize(
    ("inside", "nesting", "ends", "made"),
    [
        (False, 0, False, True),  # the next link of a chain
        (True, 1, False, True),  # a part of what replaces the run
        (True, 0, False, False),  # what the task sends of its own
        (False, 0, True, False),  # a thread of it sends, after its end
    ],
)
def test_what_carries_on_a_run_is_sent_though_its_tenant_drains(
    url: str, inside: bool, nesting: int, ends: bool, made: bool
) -> None:
    """What was begun comes to its end; what is new is refused."""
    server = make_server(url)
    LimitStore(server).put_state("acme", "draining")
    sent: list[bool] = []

    def send() -> None:
        try:
            publish(url, "q", make_message("acme.2", replaced_task_nesting=nesting))
            sent.append(True)
        except TenantDraining:
            sent.append(False)

    def tracer(*_: Any) -> tuple[int, Any, float]:
        current = carry.current_carry()
        assert current is not None
        current.entered, current.inside, current.was_replaced = True, inside, True
        later.append(copy_context())
        if not ends:
            send()
        return 0, "None", 0.1

    later: list[Context] = []
    run = {"run": "acme.1", "token": 1, "tenant": "acme", "tag": "acme", "job": None, "due": None, "attempt": 1}
    carry.execute(tracer, "a.task", "acme.1", {HEADER: run})
    if ends:
        later[0].run(send)

    assert [made] == sent
    server.close()
