from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest
from cluster import everywhere
from eventually import eventually
from factories import make_job, run_ids, server_time
from redis.exceptions import NoPermissionError
from scraping import Page
from taglane.settings import load_settings
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.embedded import free_port
from taglane_scheduler.process import run_scheduler
from taglane_scheduler.services import build

if TYPE_CHECKING:
    from redis import Redis

SCHEDULER = """
import sys
from redis.exceptions import NoPermissionError
from taglane.settings import load_settings
from taglane.store.server import Server
from taglane_scheduler.process import run_scheduler
from taglane_scheduler.services import build
run_scheduler(build(load_settings(url=sys.argv[1])), ready=lambda: print("ready", flush=True))
print("over", flush=True)
"""


def test_fires_until_it_is_stopped(redis: Redis, url: str) -> None:
    """A scheduler on a fresh server loads what it needs, fires, and ends when it is told to."""
    stopping, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=run_scheduler, args=(build(load_settings(url=url)), ready.set, stopping))
    thread.start()
    try:
        assert ready.wait(10)
        services = build(load_settings(url=url))
        services.tenants.create("acme")
        services.jobs.put(make_job(at=server_time(redis) + 500))
        eventually(lambda: run_ids(redis))
        services.close()
    finally:
        stopping.set()
        thread.join(10)
    assert not thread.is_alive()


def test_it_tells_of_itself_and_of_tenants_where_it_is_asked(url: str) -> None:
    """Its health and its figures have one address."""
    stopping, ready = threading.Event(), threading.Event()
    services = build(load_settings(url=url))
    services.prepare()
    services.tenants.create("acme")
    address = f"127.0.0.1:{free_port()}"
    thread = threading.Thread(target=run_scheduler, args=(services, ready.set, stopping, address))
    thread.start()
    try:
        assert ready.wait(10)
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            page = Page(answer.read())
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=10) as answer:
            assert 200 == answer.status
    finally:
        stopping.set()
        thread.join(10)
    assert not thread.is_alive()
    assert (1.0, 0.0, 0.0) == (
        page("taglane_tenants"),
        page("taglane_scheduler_holds_fire"),
        page("taglane_runs_made_total", tenant="acme"),
    )


def test_what_the_server_refuses_is_noted_meanwhile(redis: Redis, url: str) -> None:
    """Within seconds, beside the loop; at its end it waits for nothing."""
    redis.acl_log_reset()
    stopping, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=run_scheduler, args=(build(load_settings(url=url)), ready.set, stopping))
    thread.start()
    try:
        assert ready.wait(10)
        services = build(load_settings(url=url))
        own = Server(services.tenants.create("acme").url)
        for _ in range(3):
            with pytest.raises(NoPermissionError):
                everywhere(own.redis).keys("*")

        denied = eventually(lambda: [e for e in services.audit.list("acme") if e.action == "denied"], 10)

        assert 3 == sum(int(entry.details["count"]) for entry in denied)
        own.close()
        services.close()
    finally:
        stopping.set()
        start = time.monotonic()
        thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - start < 1.5


def test_sigterm_ends_it_in_order(redis: Redis, url: str) -> None:
    """SIGTERM ends the process with 0, and leaves nothing of it among the schedulers."""
    process = subprocess.Popen([sys.executable, "-c", SCHEDULER, url], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        try:
            assert "ready\n" == process.stdout.readline()
            assert 1 == redis.hlen(keys.SCHEDULERS)

            process.send_signal(signal.SIGTERM)

            assert "over\n" == process.stdout.readline()
            assert 0 == process.wait(10)
        finally:
            process.kill()
    assert 0 == redis.hlen(keys.SCHEDULERS)


def test_handlers_are_put_back(url: str) -> None:
    """After it has run, the process handles its signals as it did before."""
    before = signal.getsignal(signal.SIGTERM)
    stopping = threading.Event()

    run_scheduler(build(load_settings(url=url)), ready=stopping.set, stopping=stopping)

    assert before == signal.getsignal(signal.SIGTERM)
