"""`taglane worker` and `taglane scheduler`, as processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from eventually import eventually
from taglane_scheduler.embedded import EmbeddedServer, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Cli
    from redis import Redis
    from taglane_scheduler.embedded import ServerBinary

APPS = Path(__file__).parents[1] / "apps"
TAGLANE = Path(sys.executable).parent / "taglane"


class Process:
    """A `taglane` process whose stderr goes to a file."""

    def __init__(self, log: IO[str], url: str, *args: str) -> None:
        self.log = Path(log.name)
        environment = {**os.environ, "TAGLANE_URL": url}
        self.process = subprocess.Popen(
            [TAGLANE, *args], env=environment, cwd=APPS, stdout=log, stderr=subprocess.STDOUT
        )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[type[Process]]:
    started: list[Process] = []

    class Started(Process):
        def __init__(self, url: str, *args: str) -> None:
            with (tmp_path / f"{len(started)}.log").open("w") as log:
                super().__init__(log, url, *args)
            started.append(self)

    yield Started
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait(10)


def test_a_scheduler_fires_what_is_due(taglane: Cli, acme: Cli, start: type[Process]) -> None:
    """Until it is told to stop, which is no failure."""
    acme.ok("job", "add", "tick", "--task", "a.b", "--every", "1s", "--overlap", "allow")
    scheduler = start(taglane.url, "scheduler")  # type: ignore[arg-type]

    assert eventually(lambda: taglane.ok("run", "list", "--job", "tick", "-o", "json").json, timeout=20)

    assert 0 == scheduler.stop()
    assert "scheduler_ready" in scheduler.log.read_text()


@pytest.mark.parametrize("pool", ["threads", "prefork", "solo"])
def test_a_worker_takes_the_runs_of_its_tag(acme: Cli, start: type[Process], redis: Redis, pool: str) -> None:
    """Started with the tenant's own url it executes what is enqueued for it, lists itself, and is refused nothing."""
    redis.acl_log_reset()
    worker = start(acme.url, "worker", "--tag", "acme", "-A", "shop", "-c", "2", "-P", pool)  # type: ignore[arg-type]
    eventually(lambda: acme.ok("workers", "-o", "json").json, timeout=30)

    answer = acme(
        "enqueue", "shop.tasks.report", "--params", '{"region": "eu"}', "--wait", "--timeout", "30", "-o", "json"
    )

    assert (0, "succeeded", "") == (answer.code, answer.json["state"], answer.err)
    assert 0 == worker.stop()
    assert [] == acme.ok("workers", "-o", "json").json
    assert [] == redis.acl_log()


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["worker", "--tag", "other"], 2, "tag 'other' does not belong to tenant 'acme'"),
        (["worker", "--tag", "acme1"], 2, "tag 'acme1' does not belong to tenant 'acme'"),
        (["worker", "--tag", "a b"], 2, "tag 'a b' must be"),
        (["worker", "--tag", "acme", "-A", "no.such.module"], 2, "no.such.module"),
        (["scheduler"], 4, "a scheduler takes the operator's credential, and TAGLANE_URL holds that of tenant 'acme'"),
    ],
)
def test_what_does_not_start(acme: Cli, args: list[str], code: int, told: str) -> None:
    """One line says why."""
    done = subprocess.run(
        [TAGLANE, *args],
        env={**os.environ, "TAGLANE_URL": acme.url},
        cwd=APPS,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert code == done.returncode
    assert 1 == len(done.stderr.splitlines()), done.stderr
    assert told in done.stderr


def ask(port: int, path: str) -> tuple[int, dict[str, str]] | None:
    """The status and the checks that an endpoint answers; None while nothing listens there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, json.loads(answer.read())["checks"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["checks"]
    except OSError:
        return None


def status(port: int, path: str) -> int:
    """The status that an endpoint answers; 0 while nothing listens there."""
    found = ask(port, path)
    return 0 if found is None else found[0]


@pytest.mark.one_server("a cluster's loops are told by their names")
def test_a_scheduler_tells_how_it_is(taglane: Cli, start: type[Process]) -> None:
    """It is ready while it fires what is due, and its port is free again when it has stopped."""
    port = free_port()
    scheduler = start(taglane.url, "scheduler", "--health", str(port))  # type: ignore[arg-type]

    eventually(lambda: ask(port, "/readyz") == (200, {"server": "ok", "work": "ok"}), timeout=20)
    assert (200, {"loop": "ok"}) == ask(port, "/livez")

    assert 0 == scheduler.stop()
    assert ask(port, "/livez") is None


def test_a_server_that_is_gone_is_no_reason_for_a_restart(start: type[Process], binary: ServerBinary) -> None:
    """A scheduler without its server lives, and is not ready; it is again when the server is back."""
    port = free_port()
    with EmbeddedServer(binary=binary) as server:
        start(server.url, "scheduler", "--health", str(port))  # type: ignore[arg-type]
        eventually(lambda: status(port, "/readyz") == 200, timeout=20)

        server.kill()

        eventually(lambda: status(port, "/readyz") == 503, timeout=20)
        assert (200, {"loop": "ok"}) == ask(port, "/livez")
        server.restart()
        eventually(lambda: status(port, "/readyz") == 200, timeout=20)


@pytest.mark.parametrize(("pool", "checks"), [("auto", 4), ("threads", 2), ("prefork", 2)])
def test_a_worker_tells_how_it_is(acme: Cli, start: type[Process], pool: str, checks: int) -> None:
    """One endpoint answers for all its processes, and goes on when one of them was killed and followed by another."""
    port = free_port()
    worker = start(acme.url, "worker", "--tag", "acme", "-c", "2", "-P", pool, "--health", str(port))  # type: ignore[arg-type]

    eventually(lambda: status(port, "/readyz") == 200, timeout=30)
    found = ask(port, "/readyz")
    assert found is not None
    assert checks == len(found[1])
    assert 200 == status(port, "/livez")
    if pool == "auto":
        killed = int(Path(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children").read_text().split()[0])
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: status(port, "/readyz") == 503, timeout=20)
        eventually(lambda: status(port, "/readyz") == 200, timeout=30)

    assert 0 == worker.stop()
    assert ask(port, "/livez") is None


@pytest.mark.parametrize("command", [["scheduler"], ["worker", "--tag", "acme"]])
@pytest.mark.parametrize(("address", "told"), [("here", "write HOST:PORT"), ("", "in use")])
def test_health_that_can_not_be_told(taglane: Cli, acme: Cli, command: list[str], address: str, told: str) -> None:
    """A bad address, or a port that is taken, ends the process at its start, with one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        health = address or f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [TAGLANE, *command],
            env={**os.environ, "TAGLANE_URL": taglane.url if len(command) == 1 else acme.url, "TAGLANE_HEALTH": health},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert 2 == done.returncode
    assert 1 == len(done.stderr.splitlines()), done.stderr
    assert f"error: TAGLANE_HEALTH='{health}': " in done.stderr
    assert told in done.stderr


def test_an_interrupt_is_130(acme: Cli, start: type[Process], redis: Redis) -> None:
    """Ctrl-C in a wait ends it at once, without a traceback."""
    run_id = acme.ok("enqueue", "a.b").out.strip()
    waiting = start(acme.url, "run", "wait", run_id)  # type: ignore[arg-type]
    eventually(lambda: redis.pubsub_channels() or redis.pubsub_shardchannels())

    waiting.process.send_signal(signal.SIGINT)

    assert 130 == waiting.process.wait(10)
    assert "Traceback" not in waiting.log.read_text()


def test_a_worker_without_a_tag_is_a_usage_error(acme: Cli) -> None:
    """A tag is what a worker is for."""
    answer = acme("worker")

    assert 2 == answer.code
    assert "--tag" in answer.err
