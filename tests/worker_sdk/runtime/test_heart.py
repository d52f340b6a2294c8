"""The helper process that keeps a worker's heartbeat: it lives and stands still with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from eventually import eventually
from factories import make_server
from taglane.runtime.heart_process import is_stopped
from taglane.store import functions, keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane.store.server import Server

PARENT = """
import sys
from taglane.runtime.heart import Heart
heart = Heart(sys.argv[1], ("taglane:{acme}:", "beat", sys.argv[2]), 0.02)
heart.start()
print("started", flush=True)
# first
sys.stdin.readline()
heart.stop()
heart.stop()
print("stopped", flush=True)
sys.stdin.readline()
"""


WAIT = "sys.stdin.readline(); heart.beaten(float('-inf')); print('asked', flush=True)"


class Parent:
    """A process with a heart, as a worker has one."""

    def __init__(self, server: Server, worker: str = "w1", first: str = "") -> None:
        self._redis, self._worker = server.redis, worker
        server.call("hello", "acme", worker)
        program = PARENT.replace("# first", first and f"{first}; {WAIT}")
        command = [sys.executable, "-c", program, server.url, worker]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.heart = 0

    def __enter__(self) -> Self:
        assert "started" == self.answer()
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        (self.heart,) = (int(child) for child in path.read_text().split())
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    @property
    def beat(self) -> int:
        counter: Any = self._redis.hget(keys.worker("acme", self._worker), "beat")
        return int(counter)

    def beats_on(self) -> None:
        """Wait for ten beats more."""
        before = self.beat
        eventually(lambda: self.beat >= before + 10)


def lives(pid: int) -> bool:
    """Whether a process goes on; a zombie does not."""
    return Path(f"/proc/{pid}/exe").exists()


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def parent(store: Server) -> Iterator[Parent]:
    with Parent(store) as parent:
        yield parent


def test_it_beats(parent: Parent) -> None:
    """Without the parent's doing anything."""
    parent.beats_on()


def test_it_ends_when_it_is_told(parent: Parent) -> None:
    """And leaves nothing behind; told again, it is ended already."""
    parent.ask()

    assert "stopped" == parent.answer()
    assert not lives(parent.heart)
    assert not Path(f"/proc/{parent.process.pid}/task/{parent.process.pid}/children").read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_with_its_parent(parent: Parent, number: signal.Signals) -> None:
    """However that one ended: no heart beats for a worker that is gone."""
    parent.process.send_signal(number)
    parent.process.wait(5)

    eventually(lambda: not lives(parent.heart))


def test_it_skips_while_its_parent_is_stopped(parent: Parent, store: Server) -> None:
    """A stopped worker counts as dead, whoever stopped it; when it goes on, so does its heart."""
    with Parent(store, "w2") as other:
        parent.process.send_signal(signal.SIGSTOP)
        eventually(lambda: is_stopped(parent.process.pid))
        other.beats_on()  # one that was on its way arrives meanwhile
        before = parent.beat
        for _ in range(3):
            other.beats_on()
        assert before == parent.beat
        assert lives(parent.heart)

        parent.process.send_signal(signal.SIGCONT)
        parent.beats_on()


def test_a_signal_for_the_group_is_the_parents(parent: Parent) -> None:
    """Ctrl-C reaches all of a terminal's processes: the heart beats on while the worker ends what it began."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        os.kill(parent.heart, number)

    parent.beats_on()


def test_it_bears_a_server_that_is_gone(parent: Parent, redis: Redis) -> None:
    """A lost connection, a server that answers with an error: the next beat may get through."""
    redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]
    parent.beats_on()
    redis.function_flush()
    redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]
    functions.load(redis)
    parent.beats_on()


def test_it_says_nothing_while_its_parent_is_heard(store: Server, parent: Parent) -> None:
    """It has no connection then; the first heartbeat of the parent's that is overdue is its own."""
    with Parent(store, "w2", "heart.beaten(float('inf'))") as heard:
        parent.beats_on()
        assert 0 == heard.beat
        assert not connections_of(heard.heart)
        assert connections_of(parent.heart)

        heard.ask()
        assert "asked" == heard.answer()
        heard.beats_on()


def test_it_takes_little(store: Server) -> None:
    """What speaks with a server is imported when there is something to say: until then it is a sixth of a worker."""
    with Parent(store, "w3", "heart.beaten(float('inf'))") as heard:
        assert memory_of(heard.heart) < memory_of(heard.process.pid) / 2


def memory_of(pid: int) -> int:
    """Its resident memory, kB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def connections_of(pid: int) -> list[str]:
    """The sockets that a process has open."""
    links = [str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()]
    return [link for link in links if link.startswith("socket:")]
