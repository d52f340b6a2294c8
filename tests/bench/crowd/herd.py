"""What one message costs with many idle workers on one tag: how many of them it wakes, and what all of them ask."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING

from bench.crowd.waiting import called, enter, open_files, processor
from bench.tenancy.stage import until
from redis import Redis
from taglane.client import Taglane
from taglane.runtime.carry import Outcome
from taglane.runtime.fetcher import Fetcher
from taglane.runtime.holdings import Holdings
from taglane.runtime.patience import Patience
from taglane.runtime.sender import Sender
from taglane.store import functions, keys
from taglane.store.leases import Leases
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import url_for

if TYPE_CHECKING:
    from bench.crowd.size import Size
    from bench.tenancy.figures import Sheet

TENANT = "acme"
LEASE_S = 15.0
MOST_COMMANDS = 10


def herd(sheet: Sheet, size: Size) -> None:
    """Enqueue one run after the other for idle workers, and count what these ask beyond what they ask anyway."""
    open_files()
    with EmbeddedServer() as running, Redis.from_url(running.url) as redis:
        operator = Server(running.url)
        functions.load(redis)
        password = enter(operator, [TENANT])[TENANT]
        url = url_for(running.url, f"taglane-{TENANT}", password)
        workers = [Worker(url, number) for number in range(size.herd)]
        lane = Taglane(url)
        try:
            for worker in workers:
                worker.start()
            until(lambda: redis.scard(keys.workers(TENANT)) == size.herd, "the workers")
            time.sleep(size.settle_s)
            before, began = called(redis), time.monotonic()
            server = processor(redis, size.idle_s)
            idle = (called(redis) - before) / (time.monotonic() - began)
            name = f"{size.herd} idle workers on one tag"
            sheet.note(f"{name}: functions and waits called", idle / size.herd, "/s each")
            sheet.note(f"{name}: server time", server * 1000 / size.herd, "us/s each")
            before, began = called(redis), time.monotonic()
            for _ in range(size.messages):
                lane.enqueue("shop.tasks.report")
                time.sleep(size.pause_s)
            until(lambda: sum(worker.done for worker in workers) == size.messages, "the runs")
            passed = time.monotonic() - began
            asked = called(redis) - before
            each = (asked - idle * passed) / size.messages - 1  # one is the sender's
            sheet.note(f"{name}: what they call for a message, and otherwise would not", each, "", most=MOST_COMMANDS)
        finally:
            lane.close()
            for worker in workers:
                worker.stop()
            operator.close()


class Worker:
    """What a worker is beside Celery: it takes, and ends at once, one run after the other."""

    def __init__(self, url: str, number: int) -> None:
        self._server = Server(url)
        self._leases = Leases(self._server, TENANT, f"{TENANT}@herd-{number}")
        self._holdings = Holdings(lease=LEASE_S, batch=1000)
        patience = Patience(60.0, lambda _: None)
        self._fetcher = Fetcher(self._holdings, self._leases, [TENANT], patience)
        self._sender = Sender(self._holdings, self._leases, patience)
        self._wakes: SimpleQueue[bool] = SimpleQueue()
        self._holdings.wake = lambda: self._wakes.put(True)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.done = 0
        """How many runs it has had."""

    def start(self) -> None:
        """Enter the workers, and wait for runs."""
        self._leases.hello({"slots": 1}, [TENANT], ["shop.tasks.report"], round(LEASE_S * 1000))
        self._sender.start()
        self._fetcher.start()
        self._thread.start()
        self._holdings.serve(1)

    def stop(self) -> None:
        """End its threads."""
        self._holdings.stop_serving()
        self._fetcher.stop(5.0)
        self._sender.stop(5.0)
        self._wakes.put(False)
        self._thread.join()
        self._server.close()

    def _work(self) -> None:
        while self._wakes.get():
            while (delivery := self._holdings.take()) is not None:
                self._holdings.applied(delivery.run)
                self._holdings.began(delivery.run)
                self._holdings.settle(delivery.run, Outcome("succeeded", '{"r":1}'))
                self.done += 1
