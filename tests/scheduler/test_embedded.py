from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.exceptions import TimeoutError as NoAnswer
from redis.retry import Retry
from taglane_scheduler import embedded
from taglane_scheduler.embedded import EmbeddedServer, ServerDidNotStart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.embedded import ServerBinary


@pytest.fixture
def own(binary: ServerBinary, tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of this test alone, with data on disk in a path that needs quoting."""
    with EmbeddedServer(binary=binary, directory=tmp_path / 'a "data" folder') as running:
        yield running


def exists(pid: int) -> bool:
    """Whether a process of that id lives; a zombie, which waits for its parent, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ask(server: EmbeddedServer, *command: str | int) -> object:
    with Redis.from_url(server.url, socket_timeout=5, decode_responses=True) as client:
        return client.execute_command(*command)


def setting(server: EmbeddedServer, name: str) -> str:
    with Redis.from_url(server.url, socket_timeout=5, decode_responses=True) as client:
        return str(client.config_get(name)[name])


def test_a_started_server_answers_and_a_stopped_one_is_gone(binary: ServerBinary) -> None:
    """Everything that start() made is gone after stop(): the process, its port, its files."""
    server = EmbeddedServer(binary=binary)
    server.start()
    pid, home = server.pid, Path(setting(server, "dir"))

    assert ask(server, "PING") is True
    assert server.running

    server.stop()

    assert not server.running
    assert not exists(pid)
    assert not home.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
    server.stop()  # a second one does nothing


@pytest.mark.one_server("the embedded one")
def test_the_default_user_has_a_password(server: EmbeddedServer) -> None:
    """Who has no password gets nothing, and the password is on no command line."""
    with Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()
    assert server.password.encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()


@pytest.mark.one_server("the embedded one")
def test_the_configuration_is_ours_alone_to_read(server: EmbeddedServer) -> None:
    """The file that holds the password has mode 0600."""
    configuration = Path(setting(server, "dir"), "server.conf")

    assert server.password in configuration.read_text()
    assert "-rw-------" == stat.filemode(configuration.stat().st_mode)


@pytest.mark.one_server("the embedded one")
def test_it_listens_on_loopback_and_evicts_nothing(server: EmbeddedServer) -> None:
    assert "127.0.0.1" == setting(server, "bind")
    assert "noeviction" == setting(server, "maxmemory-policy")


def test_options_become_configuration(binary: ServerBinary) -> None:
    with EmbeddedServer(binary=binary, options={"maxmemory": "10mb"}) as server:
        assert str(10 * 1024 * 1024) == setting(server, "maxmemory")


@pytest.mark.parametrize("options", [{"port": "6379"}, {"Bind": "0.0.0.0"}, {"save": '""\nport 6379'}, {"a b": "c"}])
def test_options_that_would_move_the_server_are_refused(binary: ServerBinary, options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="takes no option"):
        EmbeddedServer(binary=binary, options=options)


def test_a_server_that_ends_at_once_says_why(binary: ServerBinary) -> None:
    """The error carries the server's own last words, and nothing is left running."""
    server = EmbeddedServer(binary=binary, options={"no-such-directive": "1"})

    with pytest.raises(ServerDidNotStart, match="no-such-directive"):
        server.start()
    assert not server.running


def test_a_port_taken_in_between_costs_another_try(binary: ServerBinary, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between asking for a free port and binding it, someone else may have it."""
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken = squatter.getsockname()[1]
        ports = iter([taken, embedded.free_port()])
        monkeypatch.setattr(embedded, "free_port", lambda: next(ports))

        with EmbeddedServer(binary=binary) as server:
            assert taken != server.port
            assert ask(server, "PING") is True


def test_data_outlives_a_restart(own: EmbeddedServer) -> None:
    before = own.pid, own.url
    ask(own, "SET", "kept", "yes")

    own.restart()

    assert "yes" == ask(own, "GET", "kept")
    assert before[0] != own.pid
    assert before[1] == own.url


def test_data_outlives_a_crash(own: EmbeddedServer) -> None:
    """What the server had answered is there after SIGKILL."""
    ask(own, "SET", "kept", "yes")

    own.kill()

    assert not own.running
    own.restart()
    assert "yes" == ask(own, "GET", "kept")


def test_a_frozen_server_answers_after_its_thaw(own: EmbeddedServer) -> None:
    with Redis.from_url(own.url, socket_timeout=0.2, retry=Retry(NoBackoff(), 0)) as client:
        client.ping()
        own.freeze()
        with pytest.raises(NoAnswer):
            client.ping()
        own.thaw()
        assert eventually(lambda: ask(own, "PING"))


def test_a_frozen_server_can_be_stopped(binary: ServerBinary) -> None:
    with EmbeddedServer(binary=binary) as server:
        pid = server.pid
        server.freeze()
    assert not exists(pid)


def test_it_outlives_the_thread_that_started_it(binary: ServerBinary) -> None:
    """The kernel's parent-death signal is about threads; ours is about the process."""
    server = EmbeddedServer(binary=binary)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()

    assert ask(server, "PING") is True
    server.stop()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("frozen", [False, True])
def test_it_dies_with_its_parent(binary: ServerBinary, tmp_path: Path, how: signal.Signals, frozen: bool) -> None:
    """However the parent ends, no server is left behind, not even a frozen one."""
    script = (
        "import sys, time; from pathlib import Path; from taglane_scheduler.embedded import *\n"
        f"server = EmbeddedServer(binary=ServerBinary(Path({str(binary.path)!r}), 'x', (7, 0, 0))); server.start()\n"
        f"{'server.freeze()' if frozen else ''}\n"
        "print(server.pid, flush=True); time.sleep(60)"
    )
    temporary = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=temporary) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert exists(pid)
        parent.send_signal(how)
        parent.wait(10)

    eventually(lambda: not exists(pid), message="the server outlived its parent")


def test_a_forked_child_leaves_its_parents_server_alone() -> None:
    """A fork inherits the object and its exit handler, but not the server."""
    script = (
        "import os; from taglane_scheduler.embedded import EmbeddedServer\n"
        "with EmbeddedServer() as server:\n"
        "    if os.fork() == 0: raise SystemExit\n"
        "    os.wait(); print(server.running)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert "True\n" == done.stdout


def test_it_imports_no_client() -> None:
    """A command that looks for a server does not pay for importing redis."""
    script = (
        "import sys, taglane_scheduler.embedded as embedded; embedded.find_server()\n"
        "print(sorted({'redis', 'valkey'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert "[]\n" == done.stdout
