"""`taglane worker` and `taglane scheduler`, as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Cli
    from redis import Redis

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
        (["scheduler", "-l", "ERROR"], 4, "the server refused"),
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


def test_an_interrupt_is_130(acme: Cli, start: type[Process], redis: Redis) -> None:
    """Ctrl-C in a wait ends it at once, without a traceback."""
    run_id = acme.ok("enqueue", "a.b").out.strip()
    waiting = start(acme.url, "run", "wait", run_id)  # type: ignore[arg-type]
    eventually(redis.pubsub_channels)

    waiting.process.send_signal(signal.SIGINT)

    assert 130 == waiting.process.wait(10)
    assert "Traceback" not in waiting.log.read_text()


def test_a_worker_without_a_tag_is_a_usage_error(acme: Cli) -> None:
    """A tag is what a worker is for."""
    answer = acme("worker")

    assert 2 == answer.code
    assert "--tag" in answer.err
