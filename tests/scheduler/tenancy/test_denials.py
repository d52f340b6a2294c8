"""Refusals of a real server, copied into the audit log with how often."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from cluster import everywhere
from eventually import eventually
from redis.exceptions import AuthenticationError, NoPermissionError
from taglane.store import keys
from taglane.store.server import Server, connect
from taglane_scheduler.tenancy import denials as module
from taglane_scheduler.tenancy.audit import Audit
from taglane_scheduler.tenancy.denials import MOST_OBJECTS, Denial, Denials, entries, gap
from taglane_scheduler.tenancy.tenants import Tenants, url_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def store(url: str, redis: Redis) -> Iterator[Server]:
    redis.acl_log_reset()
    made = Server(url)
    yield made
    made.close()


@pytest.fixture
def acme(store: Server) -> Iterator[Server]:
    server = Server(Tenants(store).create("acme").url)
    yield server
    server.close()


def try_to(server: Server, *command: str, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(NoPermissionError):
            everywhere(server.redis).execute_command(*command)


def counted(store: Server) -> Counter[tuple[Any, ...]]:
    """What the audit log has of refusals: tenant, reason, object, context -> how often, over all entries."""
    found: Counter[tuple[Any, ...]] = Counter()
    for entry in Audit(store).list(count=10_000):
        if entry.action == "denied":
            key = (entry.tenant, entry.details["reason"], entry.details["object"], entry.details.get("context"))
            found[key] += int(entry.details["count"])
    return found


@pytest.mark.one_server("a login is tried at each node that the url names")
def test_each_kind_of_refusal_is_counted(acme: Server, store: Server, url: str) -> None:
    """A key, a command, a channel, a login, and a key inside a function; who, and from where."""
    try_to(acme, "GET", "taglane:{other}:key:k", times=3)
    try_to(acme, "KEYS", "*", times=2)
    try_to(acme, "PUBLISH", "taglane:{other}:wake", "1")
    with suppress(NoPermissionError):
        acme.redis.fcall("taglane_cancel", 1, "taglane:{", "x", "why")
    with pytest.raises(AuthenticationError):
        connect(url_for(url, "taglane-acme", "guess")).ping()

    assert 8 == Denials(store).step()

    assert {
        ("acme", "key", "taglane:{other}:key:k", "toplevel"): 3,
        ("acme", "command", "keys", "toplevel"): 2,
        ("acme", "channel", "taglane:{other}:wake", "toplevel"): 1,
        ("acme", "key", "taglane:{", "toplevel"): 1,
        ("acme", "auth", "AUTH", "toplevel"): 1,
    } == counted(store)
    first = Audit(store).list()[-1]
    assert ("taglane-acme", "127.0.0.1") == (first.who, first.address)


def test_what_comes_again_is_counted_once_more(acme: Server, store: Server) -> None:
    """The server joins it to the entry that it has; we enter by how much that has grown."""
    denials = Denials(store)
    for times in (1, 4, 2):
        try_to(acme, "KEYS", "*", times=times)
        assert times == denials.step()
        assert 0 == denials.step()

    assert {("acme", "command", "keys", "toplevel"): 7} == counted(store)
    assert [1, 4, 2] == [entry.details["count"] for entry in Audit(store).list() if entry.action == "denied"]


def test_many_schedulers_count_each_refusal_once(acme: Server, store: Server, url: str) -> None:
    """Whoever is first; the others see that it was counted."""
    servers = [Server(url) for _ in range(4)]
    stopping = threading.Event()

    def count(server: Server) -> int:
        denials, total = Denials(server), 0
        while not stopping.is_set():
            total += denials.step()
        return total + denials.step()

    with ThreadPoolExecutor(4) as pool:
        counts = [pool.submit(count, server) for server in servers]
        for number in range(300):
            try_to(acme, "GET", f"taglane:{{other}}:key:{number % 7}")
        stopping.set()
        total = sum(each.result(30) for each in counts)

    assert 300 == total == counted(store).total()
    for server in servers:
        server.close()


def test_a_scheduler_that_starts_anew_counts_nothing_again(acme: Server, store: Server) -> None:
    """What was counted is kept on the server; and no more of it than the server's log still has."""
    try_to(acme, "KEYS", "*", times=3)
    assert 3 == Denials(store).step()
    assert 0 == Denials(store).step()

    everywhere(store.redis).acl_log_reset()
    try_to(acme, "SCAN", "0")
    assert 1 == Denials(store).step()

    assert store.redis.hlen(keys.DENIALS) <= 1
    assert 4 == counted(store).total()


def test_a_thousand_objects_are_a_few_entries(acme: Server, store: Server) -> None:
    """A tenant that tries many keys does not fill the log with them; the sum is right."""
    for number in range(100):
        try_to(acme, "GET", f"taglane:{{other}}:key:{number}")

    assert 100 == Denials(store).step()

    found = counted(store)
    assert MOST_OBJECTS + 1 == len(found)
    assert 100 == found.total()
    assert 90 == found["acme", "key", "(90 more)", "toplevel"]


@pytest.mark.one_server("each node keeps a log of its own")
def test_what_the_server_has_forgotten_is_said(acme: Server, store: Server) -> None:
    """Where its entries have numbers: between two readings more came than it keeps."""
    kept = store.redis.config_get("acllog-max-len")["acllog-max-len"]
    try:
        store.redis.config_set("acllog-max-len", 5)
        try_to(acme, "KEYS", "*")
        Denials(store).step()
        has_ids = bool(store.redis.hlen(keys.DENIALS))
        for number in range(20):
            try_to(acme, "GET", f"taglane:{{other}}:key:{number}")
        Denials(store).step()
    finally:
        store.redis.config_set("acllog-max-len", kept)

    assert (15 if has_ids else 0) == counted(store)["", "forgotten", "(acllog-max-len)", None]


def test_a_key_of_any_bytes_and_length_is_entered(acme: Server, store: Server) -> None:
    """As text, and cut."""
    store.redis.ping()
    with pytest.raises(NoPermissionError):
        acme.redis.get(b"\xff\x00 \n" + b"k" * 10_000)

    assert 1 == Denials(store).step()

    ((_, _, what, _),) = counted(store)
    assert "\\xff" in what
    assert 200 == len(what)


def test_an_operator_without_the_right_is_told_once(url: str, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """And goes on asking, in case that it is given it."""
    redis.acl_setuser("clerk", enabled=True, passwords="+word", keys="*", categories=["+@all"], commands=["-acl"])
    over, rounds = threading.Event(), []
    denials = Denials(Server(url_for(url, "clerk", "word")))
    step = denials.step

    def counting() -> int:
        rounds.append(1)
        return step()

    denials.step = counting  # type: ignore[method-assign]
    module.EVERY, before = 0.01, module.EVERY
    try:
        thread = threading.Thread(target=denials.run, args=(over,))
        thread.start()
        eventually(lambda: len(rounds) > 2)
        over.set()
        thread.join(10)
    finally:
        module.EVERY = before

    assert 1 == caplog.text.count("denials_not_read")


def test_a_gap_is_counted_by_the_numbers() -> None:
    """Unless nothing was read before, or a new process counts anew."""
    assert 0 == gap([], ["7-1"])
    assert 0 == gap(["6-1"], ["6-1", "7-1"])
    assert 4 == gap(["2-1", "1-1"], ["7-1", "8-1"])
    assert 0 == gap(["9-1"], ["0-5", "1-5"])


def test_of_one_tenant_the_most_frequent_are_named() -> None:
    """The same object is one entry, however many the server had made of it."""
    grown = [(Denial(str(n), 1, "key", "lua", "a" if n % 2 else "b", "taglane-acme", "h"), n) for n in range(4)]

    assert [("acme", "a", 4), ("acme", "b", 2)] == [
        (tenant, details["object"], details["count"]) for tenant, _, _, details in entries(grown)
    ]
