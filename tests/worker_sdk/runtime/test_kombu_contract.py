"""What we rely on inside kombu and Celery 5.7, which promise none of it: an upgrade that changes it fails here."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import celery
import kombu
import pytest
from celery import Celery, Task, canvas, concurrency
from celery.app import control, task, trace
from celery.backends.base import Backend, SyncBackendMixin
from celery.exceptions import Ignore
from celery.worker import state
from celery.worker.components import Hub, Pool
from celery.worker.request import Request, create_request_cls
from kombu import transport as kombu_transport
from kombu.transport import virtual
from kombu.utils.uuid import uuid
from taglane.model.envelope import HEADER
from taglane.runtime import app as runtime_app
from taglane.runtime import backend, pools, step, transport
from taglane.runtime.carry import raised
from taglane.runtime.control import Control

if TYPE_CHECKING:
    from collections.abc import Iterator

OVERRIDDEN = [
    (transport.Transport, virtual.Transport, "close_connection register_with_event_loop"),
    (
        transport.Channel,
        virtual.Channel,
        "_put _get _purge basic_consume basic_cancel basic_qos",
    ),
    (transport.QoS, virtual.QoS, "append can_consume ack reject restore_unacked_once"),
    (
        backend.Backend,
        Backend,
        "apply_chord set_chord_size add_to_chord on_chord_part_return mark_as_revoked _forget as_uri __reduce__",
    ),
    (backend.Backend, SyncBackendMixin, "wait_for"),
    (Control, control.Control, "revoke terminate purge discard_all broadcast"),
    (pools.Carrying, concurrency.base.BasePool, "apply_async"),
]


@pytest.mark.parametrize("package", [kombu, celery])
def test_the_version_is_the_one_that_was_read(package: Any) -> None:
    """The next minor version is to be read, with this file in hand, before it is allowed."""
    assert "5.7" == package.__version__.rpartition(".")[0]


CASES = [(ours, theirs, name) for ours, theirs, names in OVERRIDDEN for name in names.split()]


@pytest.mark.parametrize(("ours", "theirs", "name"), CASES, ids=[f"{ours.__name__}.{name}" for ours, _, name in CASES])
def test_what_is_overridden_is_there(ours: type, theirs: type, name: str) -> None:
    """Each method that we replace exists, and ours takes every argument that theirs does, by the same name."""
    replaced = inspect.signature(inspect.getattr_static(theirs, name)).parameters
    replacing = inspect.signature(inspect.getattr_static(ours, name)).parameters

    any_name = any(parameter.kind is parameter.VAR_KEYWORD for parameter in replacing.values())
    wanted = {
        parameter.name
        for parameter in replaced.values()
        if parameter.kind not in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}
    }
    assert any_name or set() == wanted - set(replacing)
    positional = [each.name for each in replaced.values() if each.default is each.empty and each.name in wanted]
    assert positional == list(replacing)[: len(positional)]


@pytest.mark.parametrize(
    "name",
    ["_store_result", "_get_task_meta_for", "_save_group", "_restore_group", "_delete_group", "get_many", "wait_for"],
)
def test_the_backends_own_calls(name: str) -> None:
    """Celery reads through these, which its base leaves to a backend."""
    called = "".join(inspect.getsource(each) for each in (Backend, SyncBackendMixin, celery.result))
    assert f".{name}" in called
    assert callable(getattr(backend.Backend, name))


def test_what_the_transport_is_built_of() -> None:
    """Attributes of kombu's classes that ours read, or set."""
    assert {"prefetch_count", "channel"} <= set(inspect.signature(virtual.QoS.__init__).parameters)
    assert "_consumers" in inspect.getsource(virtual.Channel)
    assert {"restore_at_shutdown"} <= set(vars(virtual.QoS))
    assert {"QoS", "body_encoding", "do_restore", "supports_fanout"} <= set(vars(virtual.Channel))
    assert ["self", "message", "queue"] == list(inspect.signature(virtual.Transport._deliver).parameters)  # noqa: SLF001
    assert isinstance(kombu_transport.TRANSPORT_ALIASES, dict)
    assert virtual.Transport.implements.extend(asynchronous=True).asynchronous


def test_ids_are_made_in_three_modules() -> None:
    """Whoever sends takes a fresh id from the `uuid` of one of these modules; there is no fourth that sends."""
    patched = {module.__name__ for module in runtime_app._modules_with_ids()}  # noqa: SLF001
    assert {"celery.app.base", "celery.app.task", "celery.canvas"} == patched

    unread = ("celery.bin", "celery.contrib", "celery.fixups", "celery.backends", "celery.concurrency")
    holders = set()
    for found in pkgutil.walk_packages(celery.__path__, "celery."):
        if not found.name.startswith(unread) and "__main__" not in found.name:
            with suppress(ImportError):  # what needs a package that we don't have
                holder = vars(importlib.import_module(found.name)).get("uuid")
                if inspect.isfunction(holder) and holder.__module__.startswith(("kombu", "taglane")):
                    holders.add(found.name)
    assert patched | {"celery.utils", "celery.events.receiver"} == holders
    for name in patched:
        assert "uuid()" in inspect.getsource(importlib.import_module(name))
    assert callable(uuid)


@pytest.fixture
def app() -> Iterator[Celery]:
    """Stock Celery, connected to nothing."""
    app = Celery("contract", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.task_ignore_result = True
    yield app
    app.close()


def make_task(app: Celery, function: Any) -> Any:
    """A task that is this application's alone."""
    made = app.task(function, name="contract.task", shared=False, lazy=False)
    app.finalize()
    return made


def nothing() -> None:
    """A task without a result."""


def three() -> int:
    """A task with one."""
    return 3


def call_tracer(app: Celery, function: Any, body: tuple[Any, ...]) -> Any:
    """What the tracer, as a pool calls it, returns for a task."""
    name = make_task(app, function).name
    request: dict[str, Any] = {"id": "one", "task": name, "delivery_info": {}}
    return trace.trace_task_ret(name, "one", request, *body, app=app)


AS_TEXT = ("[[], {}, {}]", "application/json", "utf-8")
AS_READ: tuple[Any, ...] = (([], {}, {}), None, None)


@pytest.mark.parametrize("body", [AS_TEXT, AS_READ], ids=["as text", "as it was read"])
def test_what_the_tracer_returns(app: Celery, body: tuple[Any, ...]) -> None:
    """Failed, the value, and how long it took; of an error what was raised, with its traceback."""
    failed, value, seconds = call_tracer(app, three, body)
    assert (0, "3") == (failed, value)
    assert seconds >= 0


def test_what_the_tracer_returns_of_an_error(app: Celery) -> None:
    """An `ExceptionInfo`, for a task that is ignored too: of its exception the outcome is read."""

    def ignored() -> None:
        raise Ignore

    failed, value, _ = call_tracer(app, ignored, AS_READ)
    assert 1 == failed
    assert isinstance(raised(value), Ignore)
    assert "Ignore" in value.traceback


def test_the_tracers_order_of_arguments() -> None:
    """`carry.execute` reads the request, which is third, and the id, which is second."""
    for tracer in (trace.trace_task_ret, trace.fast_trace_task):
        names = list(inspect.signature(tracer).parameters)[:6]
        assert ["uuid", "request", "body", "content_type", "content_encoding"] == names[1:]


def test_what_a_request_gives_its_pool(app: Celery) -> None:
    """The options of `apply_async` that the pools wrap, and the arguments in which they look for our header."""
    given: dict[str, Any] = {}
    pool = SimpleNamespace(apply_async=lambda target, **options: given.update(options, target=target))

    make_request(app, pool).execute_using_pool(pool)

    callbacks = {"accept_callback", "timeout_callback", "callback", "error_callback"}
    assert callbacks | {"target", "args", "soft_timeout", "timeout", "correlation_id"} == set(given)
    assert 6 == len(given["args"])
    assert {"run": "one"} == given["args"][2][HEADER]


def make_request(app: Celery, pool: Any) -> Any:
    """What Celery makes of a message for its pool."""
    headers = {"id": "one", "task": "contract.task", HEADER: {"run": "one"}}
    message = SimpleNamespace(
        headers=headers,
        body="[[], {}, {}]",
        content_type="application/json",
        content_encoding="utf-8",
        delivery_info={},
        properties={},
        delivery_tag="one",
        payload=([], {}, {}),
    )
    ran = make_task(app, nothing)
    pool.apply_async = getattr(pool, "apply_async", None)
    return create_request_cls(Request, ran, pool, "host", None, app=app)(message, app=app, task=ran)


def test_what_the_pools_change_of_a_request(app: Celery) -> None:
    """They take its body as it was read, and its acknowledgements: those are all that it tells of its end."""
    told: list[str] = []
    request = make_request(app, SimpleNamespace())
    assert ([], {}, {}) == request._payload  # noqa: SLF001 - it is what we change

    request._on_ack = lambda *_: told.append("ack")  # noqa: SLF001
    request._on_reject = lambda *_: told.append("reject")  # noqa: SLF001
    request.acknowledge()
    make_request(app, SimpleNamespace()).reject()

    assert ["ack"] == told
    assert request.acknowledged


def test_the_message_of_a_task() -> None:
    """The headers that the publisher and the envelope know, of protocol 2."""
    app = Celery("contract", set_as_current=False)
    sent = app.amqp.as_task_v2("one", "contract.task", (1,), {"x": 2})
    assert {
        "lang",
        "task",
        "id",
        "shadow",
        "eta",
        "expires",
        "group",
        "group_index",
        "retries",
        "timelimit",
        "root_id",
        "parent_id",
        "argsrepr",
        "kwargsrepr",
        "origin",
        "ignore_result",
        "replaced_task_nesting",
        "stamped_headers",
        "stamps",
    } == set(sent.headers)
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    assert ((1,), {"x": 2}, embed) == sent.body


def test_what_a_replaced_task_does() -> None:
    """`replace` keeps the id, marks what is sent as nested one deeper, and ends by `Ignore`."""
    source = inspect.getsource(Task.replace)
    assert "sig.freeze(self.request.id)" in source
    assert "self.request.get('replaced_task_nesting', 0) + 1" in source
    assert "raise Ignore" in inspect.getsource(Task.on_replace)


def test_what_the_joining_of_a_chord_uses() -> None:
    """Celery tells a chord's size before it sends the last part, and fails a body by these."""
    assert "set_chord_size(group_id, chord_size)" in inspect.getsource(canvas.group)
    assert ["self", "callback", "exc"] == list(inspect.signature(Backend.chord_error_from_stack).parameters)
    assert "backend.apply_chord(" in inspect.getsource(canvas._chord)  # noqa: SLF001
    context = task.Context(id="one", group="all", group_index=2)
    assert ("one", "all", 2) == (context.id, context.group, context.group_index)


def test_what_the_worker_is_made_of() -> None:
    """Where our step stands, what it reads, and by what a pool is chosen."""
    names = {f"{each.__module__}:{each.__name__}" for each in (Pool, Hub)}
    assert names == set(step.TagStep.requires)
    assert {"prefork", "processes", "threads", "solo"} <= set(concurrency.ALIASES)
    assert hasattr(state, "requests")
    assert hasattr(state, "should_stop")
    assert ["self", "pool", "signal"] == list(inspect.signature(Request.terminate).parameters)
    app = Celery("contract", set_as_current=False)
    assert isinstance(app.user_options["worker"], set)
    assert isinstance(app.steps["worker"], set)
    assert isinstance(app.control_cls, str)
