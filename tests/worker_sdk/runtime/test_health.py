from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from processes import WorkerProcess
from taglane.errors import BadSetting
from taglane.runtime.health import Health, listen
from taglane.runtime.pulse import LIVE_S, READY_S, Pulse, State
from taglane.store import functions
from taglane.store.server import Server
from taglane_scheduler.embedded import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def serve() -> Iterator[Callable[..., Health]]:
    started: list[Health] = []

    def start(*pulses: Pulse, address: str = "0") -> Health:
        health = listen(address, pulses)
        assert health is not None
        started.append(health)
        return health

    yield start
    for health in started:
        health.stop()


def ask(health: Health | str, path: str, method: str = "GET") -> tuple[int, Any]:
    """The status and the body of an answer, from an endpoint or an address."""
    address = health if isinstance(health, str) else health.address
    try:
        request = urllib.request.Request(f"http://{address}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")


def test_a_process_that_starts_lives_and_is_not_ready(serve: Callable[..., Health], clock: Clock) -> None:
    """Until it serves, and the server has answered."""
    pulse = Pulse(clock)
    health = serve(pulse)

    assert (200, {"status": "ok", "checks": {"loop": "ok"}}) == ask(health, "/livez")
    assert (503, {"status": "failing", "checks": {"server": "not yet", "work": "starting"}}) == ask(health, "/readyz")

    pulse.answer()

    assert (200, {"status": "ok", "checks": {"server": "ok", "work": "ok"}}) == ask(health, "/readyz")


def test_a_server_that_is_gone_makes_it_unready_and_no_more(serve: Callable[..., Health], clock: Clock) -> None:
    """A restart would bring no server back."""
    pulse = Pulse(clock)
    health = serve(pulse)
    pulse.answer()

    clock.now += READY_S + 1
    pulse.turn()

    assert 200 == ask(health, "/livez")[0]
    assert (503, "it answered last 11 s ago") == (
        ask(health, "/readyz")[0],
        ask(health, "/readyz")[1]["checks"]["server"],
    )


def test_a_loop_that_stands_still_is_dead(serve: Callable[..., Health], clock: Clock) -> None:
    """What hangs is to be restarted."""
    pulse = Pulse(clock)
    health = serve(pulse)

    clock.now += LIVE_S + 1

    answer = (503, {"status": "failing", "checks": {"loop": "it turned last 61 s ago"}})
    assert answer == ask(health, "/livez?verbose")


@pytest.mark.parametrize(
    ("state", "said"), [(State.HOLDS_FIRE, "holds fire"), (State.TAKES_NO_WORK, "takes no work"), (State.SERVING, "ok")]
)
def test_readiness_says_what_a_process_is_at(
    serve: Callable[..., Health], clock: Clock, state: State, said: str
) -> None:
    """One that does no work is not ready, however well it is."""
    pulse = Pulse(clock)
    pulse.answer(state)

    status, body = ask(serve(pulse), "/readyz")

    assert (state is State.SERVING, said) == (status == 200, body["checks"]["work"])


def test_one_endpoint_answers_for_many_processes(serve: Callable[..., Health], clock: Clock) -> None:
    """Each is checked under its number; all are ready, or none."""
    pulses = [Pulse(clock), Pulse(clock)]
    health = serve(*pulses)
    pulses[0].answer()

    status, body = ask(health, "/readyz")
    assert 503 == status
    assert {"server.1": "ok", "work.1": "ok", "server.2": "not yet", "work.2": "starting"} == body["checks"]

    pulses[1].answer()
    assert 200 == ask(health, "/readyz")[0]
    assert {"loop.1": "ok", "loop.2": "ok"} == ask(health, "/livez")[1]["checks"]


def test_a_child_that_lives_on_does_not_hold_the_port(serve: Callable[..., Health]) -> None:
    """Whoever starts after its parent's end can listen where that listened."""
    health = serve(Pulse())
    receiver, lifeline = os.pipe()
    child = os.fork()
    if not child:
        os.close(lifeline)
        os.read(receiver, 1)
        os._exit(0)
    try:
        health.stop()
        serve(Pulse(), address=health.address)
    finally:
        os.close(lifeline)
        os.close(receiver)
        os.waitpid(child, 0)


def test_nothing_else_is_there(serve: Callable[..., Health]) -> None:
    """A page that is asked for by mistake says so; HEAD is answered without a body."""
    health = serve(Pulse())

    assert 404 == ask(health, "/")[0]
    assert (200, None) == ask(health, "/livez", "HEAD")


def test_a_port_alone_is_the_loopback_interfaces(serve: Callable[..., Health]) -> None:
    """Nobody outside can ask by accident."""
    assert serve(Pulse()).address.startswith("127.0.0.1:")


def test_unset_is_off() -> None:
    """Nothing listens unless it is asked for."""
    assert listen("", [Pulse()]) is None


@pytest.mark.parametrize(
    "address", ["here", ":80", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1", "1.2.3.4.5:80", "70000"]
)
def test_a_bad_address_is_a_bad_setting(address: str) -> None:
    """It is told at the start, with what was written."""
    with pytest.raises(BadSetting, match="TAGLANE_HEALTH"):
        listen(address, [Pulse()])


def test_a_taken_port_is_a_bad_setting() -> None:
    """The error says which."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BadSetting, match=f"{address}.*can't listen there: .*in use.*another port.*--health"):
            listen(address, [Pulse()])


def test_celerys_own_command_tells_too(url: str, tmp_path: Path) -> None:
    """A worker that `celery worker` has started answers where TAGLANE_HEALTH says."""
    functions.load(Server(url).redis)
    port = free_port()
    environment = {"TAGLANE_HEALTH": str(port), "FAULTY_LOG": str(tmp_path / "log")}
    with WorkerProcess(url, ["acme"], "faulty.celery", "solo", env=environment, by="celery") as worker:
        worker.wait_ready()

        eventually(lambda: ask(f"127.0.0.1:{port}", "/readyz")[0] == 200)
