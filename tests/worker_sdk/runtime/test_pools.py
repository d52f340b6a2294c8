"""The pools: what Celery calls back, and what becomes of the run. Whole runs are in the end-to-end tests."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery import concurrency
from eventually import eventually
from taglane.model.envelope import HEADER, Delivery
from taglane.runtime import current, pools
from taglane.runtime.carry import Outcome, raised
from taglane.runtime.holdings import Holdings
from taglane.runtime.outbox import HAND_BACK_MS
from taglane.runtime.pools import Settling, Solo, Threads
from taglane.runtime.prefork import Prefork

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.runtime.outbox import Call

RUN = "acme.1"


class Request:
    """Celery's side of a run: it notes how it is called back."""

    def __init__(self) -> None:
        self.id = RUN
        self.task = SimpleNamespace(acks_late=True)
        self.heard: list[str] = []
        self.message = SimpleNamespace(payload=([], {}, {}))

    def on_accepted(self, pid: int, accepted_at: float) -> None:
        del pid, accepted_at
        self.heard.append("accepted")

    def on_success(self, returned: Any, **_: Any) -> None:
        self.heard.append(f"success {returned}")

    def on_failure(self, info: Any, *_: Any, **__: Any) -> None:
        self.heard.append(f"failure {type(raised(info)).__name__}")

    def on_timeout(self, soft: bool, timeout: float) -> None:
        self.heard.append(f"timeout {soft} {timeout}")

    @property
    def options(self) -> dict[str, Any]:
        return {
            "accept_callback": self.on_accepted,
            "callback": self.on_success,
            "error_callback": self.on_failure,
            "timeout_callback": self.on_timeout,
            "correlation_id": self.id,
        }


def make_delivery(run: str = RUN) -> Delivery:
    return Delivery(run, 1, b"{}", 1, "acme", "acme", "", None, 0, "", "", "a.b")


@pytest.fixture
def held() -> Iterator[Holdings]:
    """This process's, with one run that was taken."""
    held = Holdings(lease=15.0, batch=8)
    held.serve(2)
    held.receive([make_delivery()])
    held.take()
    current.hold(held)
    yield held
    current.hold(None)


@pytest.fixture
def request_() -> Request:
    return Request()


@pytest.fixture
def settling(held: Holdings, request_: Request) -> Settling:
    settling = Settling(held, RUN, request_.options)
    held.applied(RUN)
    settling.on_accepted(1, 0.0)
    request_.heard.clear()
    return settling


def said(held: Holdings) -> list[Call]:
    """What is to be said, without the times."""
    with held.lock:
        calls = held.pack(9)
    return [(move, [*given[:3], *given[4:]] if move == "finish" else given) for move, given in calls]


def raised_info(error: BaseException) -> ExceptionInfo:
    try:
        raise error
    except type(error):
        return ExceptionInfo()


def test_our_pools_go_by_celerys_names() -> None:
    """`-P threads` means ours, and so do the others that there are."""
    pools.register()

    for name, pool in {"prefork": Prefork, "processes": Prefork, "threads": Threads, "solo": Solo}.items():
        assert pool is concurrency.get_implementation(name)


def test_a_task_that_acknowledges_early_says_so_when_it_begins(held: Holdings, request_: Request) -> None:
    """Celery's own acknowledgement waits for the main loop, which under solo comes to it only after the task."""
    request_.task.acks_late = False
    held.applied(RUN)
    Settling(held, RUN, request_.options).on_accepted(1, 0.0)

    how_many, run, _, _, last, *_ = held.renewal()[1:]

    assert (1, RUN, "1") == (how_many, run, last)


def test_a_result_settles_its_run(settling: Settling, held: Holdings, request_: Request) -> None:
    """Celery hears what its tracer returned, the server what the run carried."""
    settling.on_result(((0, "repr", 0.5), Outcome("succeeded", '{"r":7}')))

    assert ["success (0, 'repr', 0.5)"] == request_.heard
    assert [("finish", [RUN, 1, "succeeded", '{"r":7}', ""])] == said(held)


@pytest.mark.parametrize("early", [True, False])
def test_what_a_child_did_not_begin_is_handed_back(held: Holdings, request_: Request, early: bool) -> None:
    """Uncounted, also when one death would be its last: it has not begun; and Celery hears of no end."""
    request_.task.acks_late = not early
    settling = Settling(held, RUN, request_.options)
    held.applied(RUN)
    settling.on_accepted(1, 0.0)
    request_.heard.clear()

    settling.on_result(None)

    assert [("hand_back", [HAND_BACK_MS, RUN, 1])] == said(held)
    assert [] == request_.heard
    assert held.is_idle()


def test_what_was_lost_before_a_child_began_it_is_not_spoken_of(settling: Settling, held: Holdings) -> None:
    """It is another worker's."""
    held.lose([RUN])

    settling.on_result(None)

    assert [] == said(held)


def test_an_error_of_celerys_own_settles_too(settling: Settling, held: Holdings, request_: Request) -> None:
    """Whatever its callback does, the run is ended."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken")

    settling = Settling(held, RUN, {**request_.options, "callback": broken, "error_callback": broken})
    with pytest.raises(RuntimeError, match="broken"):
        settling.on_result(((0, "", 0.5), Outcome("succeeded")))

    assert [("finish", [RUN, 1, "succeeded", "", ""])] == said(held)


@pytest.mark.parametrize("error", [WorkerLostError("gone"), SystemExit(1), KeyboardInterrupt()])
def test_the_death_of_a_child_is_a_death(settling: Settling, held: Holdings, request_: Request, error: Any) -> None:
    """For the server to count."""
    settling.on_error(raised_info(error))

    assert [f"failure {type(error).__name__}"] == request_.heard
    assert [("died", [RUN, 1])] == said(held)


def test_what_celery_noted_of_a_death_wins(settling: Settling, held: Holdings) -> None:
    """A task that is not to run again after one."""
    held.note(RUN, Outcome("dead", '{"e":"x"}'))

    settling.on_error(raised_info(WorkerLostError("gone")))

    assert [("finish", [RUN, 1, "dead", '{"e":"x"}', ""])] == said(held)


def test_an_error_instead_of_an_answer(settling: Settling, held: Holdings) -> None:
    """A pool that could not call its target says so in place of a result."""
    settling.on_result(raised_info(ValueError("no")))

    assert "failed" == said(held)[0][1][2]


def test_time_limits(settling: Settling, held: Holdings, request_: Request) -> None:
    """A soft one is the task's to handle; a hard one ends the run, and what comes after it is not heard."""
    settling.on_timeout(True, 5)
    assert [] == said(held)
    held.note(RUN, Outcome("failed", '{"e":"TimeLimitExceeded"}'))
    settling.on_timeout(False, 5)
    settling.on_error(raised_info(WorkerLostError("gone")))

    assert ["timeout True 5", "timeout False 5", "failure WorkerLostError"] == request_.heard
    assert [("finish", [RUN, 1, "failed", '{"e":"TimeLimitExceeded"}', ""])] == said(held)


@pytest.fixture
def threads(held: Holdings) -> Iterator[Threads]:
    """A pool of one thread."""
    del held
    pool = Threads(limit=1)
    pool.start()
    yield pool
    pool.stop()


def trace(name: str, message: str, request: dict[str, Any], *_: Any) -> tuple[int, str, float]:
    """In the place of Celery's tracer: it waits when it is told to."""
    del name, message
    if gate := request.get("gate"):
        assert gate.wait(10)
    return 0, "done", 0.0


def apply(pool: Threads, request: Request, run: str = RUN, gate: threading.Event | None = None) -> None:
    header = {"run": run, "tenant": "acme", "tag": "acme", "job": None, "due": None, "attempt": 1, "token": 1}
    args = ("a.b", run, {HEADER: header, "gate": gate}, "", "", "")
    pool.apply_async(trace, args, {}, **{**request.options, "correlation_id": run})


def test_a_thread_executes_and_settles(threads: Threads, held: Holdings, request_: Request) -> None:
    """Celery's calls come in their order: accepted, then the result."""
    apply(threads, request_)

    eventually(held.is_idle)
    assert ["accepted", "success (0, 'done', 0.0)"] == request_.heard
    assert [("finish", [RUN, 1, "succeeded", "", ""])] == said(held)


def test_what_no_thread_has_begun_can_be_recalled(threads: Threads, held: Holdings, request_: Request) -> None:
    """What one has begun can't, nor what was never there."""
    gate = threading.Event()
    held.receive([make_delivery("acme.2")])
    held.take()
    apply(threads, request_, gate=gate)
    eventually(lambda: "accepted" in request_.heard)
    second = Request()
    apply(threads, second, "acme.2")

    assert [False, True, False] == [threads.recall(run) for run in (RUN, "acme.2", "acme.3")]
    held.recalled("acme.2")
    gate.set()

    eventually(held.is_idle)
    assert [] == second.heard


def test_what_was_lost_in_the_pools_queue_does_not_begin(threads: Threads, held: Holdings, request_: Request) -> None:
    """Another worker has it."""
    gate = threading.Event()
    held.receive([make_delivery("acme.2")])
    held.take()
    apply(threads, request_, gate=gate)
    second = Request()
    apply(threads, second, "acme.2")
    held.lose(["acme.2"])
    gate.set()

    eventually(held.is_idle)
    assert [] == second.heard
    assert [RUN] == [call[1][0] for call in said(held)]


def test_a_call_that_is_no_run_is_celerys(threads: Threads) -> None:
    """Without our header a pool does what Celery's does."""
    heard: list[Any] = []
    threads.apply_async(lambda number: number + 1, (1,), {}, callback=heard.append, accept_callback=None)

    eventually(lambda: [2] == heard)
