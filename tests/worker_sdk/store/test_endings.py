"""Waiting for the end of a run: no end is missed between the question for its state and the subscription."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from factories import HandWorker, enqueue
from proxy import Proxy
from taglane.errors import ServerUnavailable
from taglane.store import endings, keys
from taglane.store.endings import Endings
from taglane.store.server import Server

if TYPE_CHECKING:
    from redis import Redis
    from taglane_scheduler.embedded import EmbeddedServer


@pytest.mark.one_server("through a proxy, which a node does not announce")
def test_a_subscription_is_confirmed_before_the_state_is_read(acme: Server, server: EmbeddedServer) -> None:
    """A waiter whose subscription is on its way for long asks for the state after that, and finds the end."""
    run = enqueue(acme)
    worker = HandWorker(acme).hello()
    proxy = Proxy(server.port)
    proxy.swallow(b"subscribe")
    through = Server(acme.url.replace(f":{server.port}/", f":{proxy.port}/"))
    ended = Endings(through)
    deadline = time.monotonic() + endings.RECHECK / 2
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ended.until, keys.run("acme", run), keys.done("acme", run), deadline)
        while not proxy.swallows:
            time.sleep(0.01)
        worker.finish(worker.fetch())
        proxy.swallow(b"")
        proxy.cut()
        waiting.result(endings.RECHECK)
    assert "succeeded" == Endings(acme).state(keys.run("acme", run))
    through.close()


@pytest.mark.one_server("through a proxy, which a node does not announce")
def test_a_server_that_confirms_nothing_is_gone(acme: Server, server: EmbeddedServer) -> None:
    """It is not waited for longer than for any other answer."""
    proxy = Proxy(server.port)
    through = Server(acme.url.replace(f":{server.port}/", f":{proxy.port}/"))
    proxy.swallow(b"subscribe")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(endings, "CONFIRMED", 0.05)
        patched.setattr(endings, "PATIENCE", 0.0)
        with pytest.raises(ServerUnavailable, match="confirms no subscription"):
            Endings(through).until(keys.run("acme", "acme.x"), keys.done("acme", "acme.x"), None)
    through.close()


def test_a_forked_child_waits_by_itself(acme: Server, redis: Redis) -> None:
    """On a connection of its own: what one of the two reads is not lost to the other."""
    ended = Endings(acme)
    worker = HandWorker(acme).hello()
    first = enqueue(acme)
    worker.finish(worker.fetch())
    ended.until(keys.run("acme", first), keys.done("acme", first), None)  # its subscription is kept
    runs = [enqueue(acme) for _ in range(2)]
    fetched = worker.fetch(2)

    child = os.fork()
    if not child:
        signal.alarm(30)
        ended.until(keys.run("acme", runs[0]), keys.done("acme", runs[0]), time.monotonic() + 20)
        os._exit(0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ended.until, keys.run("acme", runs[1]), keys.done("acme", runs[1]), None)
        eventually(lambda: sum(int(client["ssub"]) for client in redis.client_list()) == 2)
        began = time.monotonic()
        worker.finish(fetched)
        waiting.result(20)
        assert 0 == os.waitpid(child, 0)[1]
    assert time.monotonic() - began < endings.RECHECK / 2
