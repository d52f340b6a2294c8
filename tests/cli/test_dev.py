"""`taglane dev` as its users start it: a process of its own, that they stop with Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as LostConnection
from taglane.store import keys
from taglane.store.server import Server, tenant_of_url

TAGLANE = Path(sys.executable).parent / "taglane"


def start_dev(*options: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAGLANE_")}
    return subprocess.Popen(
        [TAGLANE, "dev", *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def urls_of(dev: subprocess.Popen[str]) -> list[str]:
    """The urls that it prints before it says that it is ready."""
    assert dev.stderr is not None
    assert dev.stdout is not None
    assert "ready" in dev.stderr.readline()
    urls: list[str] = []
    while len(urls) < 2:
        line = dev.stdout.readline()
        urls += [line.removeprefix("export TAGLANE_URL=").strip()] if line.startswith("export") else []
    return urls


def test_it_prints_urls_that_work_and_stops_the_server_with_ctrl_c() -> None:
    dev = start_dev("--tenant", "acme")
    try:
        operator, tenant = urls_of(dev)
        assert None is tenant_of_url(operator)
        assert "acme" == tenant_of_url(tenant)
        assert Server(tenant).call("cancel", "acme", "acme.none", "") == b"missing"
    finally:
        dev.send_signal(signal.SIGINT)
        _, said = dev.communicate(timeout=30)

    assert 0 == dev.returncode
    assert "stopped" in said
    with Redis.from_url(operator) as client:
        try:
            client.ping()
        except LostConnection:
            return
    raise AssertionError("the server lives on")


def test_it_outlives_its_scheduler() -> None:
    """The server keeps its data, in memory as it is, and another scheduler fires what is due."""
    dev = start_dev("--tenant", "acme")
    assert dev.stderr is not None
    try:
        operator, _ = urls_of(dev)
        with Redis.from_url(operator) as client:
            client.set("kept", "1")
            (scheduler,) = client.hkeys(keys.SCHEDULERS)
            os.kill(int(scheduler.split(b":")[1]), signal.SIGKILL)

            assert "note: the scheduler was ended by SIGKILL; another one goes on\n" == dev.stderr.readline()
            assert b"1" == client.get("kept")
            assert set(client.hkeys(keys.SCHEDULERS)) - {scheduler}
    finally:
        dev.send_signal(signal.SIGINT)
        dev.communicate(timeout=30)

    assert 0 == dev.returncode


def test_a_name_that_no_tenant_can_have_is_refused_before_anything_starts() -> None:
    dev = start_dev("--tenant", "No One")
    _, said = dev.communicate(timeout=30)

    assert 2 == dev.returncode
    assert "tenant 'No One' must be" in said
