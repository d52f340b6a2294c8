"""Calls for many runs: they leave of each what calls for one leave, though they strike their books once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from factories import make_server
from snapshot import snapshot
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.store.server import Server

TASK, ENVELOPE = "shop.task", '{"b":"[[],{},{}]"}'
WORKER = "w1"

Lease = tuple[str, int]


@pytest.fixture
def server(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


def enqueue(server: Server, tenant: str, run: str, *, expires: str = "", depends: str = "", step: int = 0) -> None:
    server.call("enqueue", tenant, run, TASK, tenant, step, ENVELOPE, "", expires, "", depends)


def fetch(server: Server, tenant: str, number: int, most: int, *, idle: bool = True, worker: str = WORKER) -> list[Any]:
    server.call("hello", tenant, worker, "tags", tenant)
    answer: list[Any] = server.call("fetch", tenant, worker, number, most, "1" if idle else "0", tenant)
    return answer


def leases_of(answer: list[Any]) -> list[Lease]:
    return [(run[0].decode(), int(run[1])) for run in answer[2]]


def left_of(server: Server, tenant: str) -> dict[str, Any]:
    """What stands in a tenant's keys, but for its name, for times, and for what a worker's calls were numbered."""
    return {
        plain(key, tenant): plain(value, tenant)
        for key, value in snapshot(server.redis, f"{keys.prefix(tenant)}*").items()
    }


NOT_COMPARED = re.compile(r"wait:\d+|sum:wait|seq|taken|seen|born")


def plain(value: Any, tenant: str) -> Any:
    match value:
        case bytes():
            return re.sub(r"\b1[67]\d{11}\b", "TIME", value.decode().replace(tenant, "tenant"))
        case dict():
            fields = {plain(name, tenant): plain(each, tenant) for name, each in value.items()}
            return {name: each for name, each in fields.items() if not NOT_COMPARED.fullmatch(name)}
        case [(_, float()), *_]:  # by times, which are not the same
            return sorted((plain(member, tenant), score if score < 1e12 else "TIME") for member, score in value)
        case list():
            return [plain(each, tenant) for each in value]
        case set():
            return {plain(each, tenant) for each in value}
        case _:
            return value


def make_all_kinds(server: Server, tenant: str) -> list[list[str]]:
    """Lease runs of every kind, and say of each how it ended, as finish takes it."""
    for number in range(12):
        enqueue(server, tenant, f"r{number}", expires="+60000" if number % 2 else "", depends="1" if number > 5 else "")
    server.call("put", tenant, "job", "{}", TASK, tenant, 0, ENVELOPE, "", "queue", "", "", "{}")
    for number in range(2):
        server.call("trigger", tenant, "job", f"j{number}", "")
    server.call("chord", tenant, "g", "join", TASK, tenant, 0, ENVELOPE)
    server.call("chord_size", tenant, "g", 2)
    held = dict(leases_of(fetch(server, tenant, 1, 20)))
    server.call("renew", tenant, WORKER, 1, 1, "r3", held["r3"], 5, "", "r3", held["r3"])
    server.call("cancel", tenant, "r2", "why")
    said = {
        "r0": ["succeeded", "5", '{"r":1}', ""],
        "r1": ["failed", "7", '{"e":1}', ""],
        "r2": ["cancelled", "5", "", ""],
        "r3": ["dead", "5", '{"e":1}', ""],
        "r4": ["succeeded", "5", "", "0:r4 g {}"],
        "r5": ["succeeded", "5", "", "1:r5 g {}"],
        "r6": ["failed", "", "", ""],
        "r7": ["cancelled", "", "", ""],
        "r8": ["replaced", "5", "", ""],
        "r9": ["failed", "5", "", "-"],
        "j0": ["succeeded", "5", "", ""],
        "j1": ["failed", "5", "", ""],
    }
    ends = [[run, str(held[run]), *how] for run, how in said.items()]
    ends.append(["r10", str(held["r10"] - 1), "succeeded", "5", "", ""])  # another's by now
    ends.append(["gone", "1", "succeeded", "5", "", ""])
    server.redis.delete(keys.run(tenant, "r11"))
    server.redis.set(keys.run(tenant, "r11"), "spoilt")
    ends.append(["r11", str(held["r11"]), "succeeded", "5", "", ""])
    ends.append(ends[0])  # said again
    return ends


def test_many_ends_in_one_call_are_as_one_by_one(server: Server) -> None:
    """Every key of the tenant is the same afterwards, whatever the runs are and however they ended."""
    together, singly = (make_all_kinds(server, tenant) for tenant in ("acme", "globex"))

    answers = server.call("finish", "acme", *(word for end in together for word in end))
    alone = [server.call("finish", "globex", *end)[0] for end in singly]

    assert [1] * 12 + [0] * 4 == answers == alone
    assert left_of(server, "globex") == left_of(server, "acme")
    assert {b"r10", b"r11"} == set(server.redis.zrange(keys.leases("acme"), 0, -1))


def test_many_fetched_in_one_call_are_as_one_by_one(server: Server) -> None:
    """Every key is the same, the runs in order; what ended, expired, is leased or is there twice is dropped."""
    got = {}
    for tenant, calls in (("acme", [20]), ("globex", [1] * 12)):
        for number in range(8):
            enqueue(server, tenant, f"r{number}", step=0 if number < 5 else 3)
        enqueue(server, tenant, "late", expires="+0")
        fetch(server, tenant, 1, 1, worker="other")
        queue = keys.queue(tenant, tenant, 0)
        server.redis.lpush(queue, "r0")  # the other worker has it
        server.redis.rpush(queue, "r2", "r3", "nobody")
        server.redis.hset(keys.run(tenant, "r4"), "state", "cancelled")
        found = [fetch(server, tenant, number, most) for number, most in enumerate(calls, 1)]
        got[tenant] = [[word.decode().replace(tenant, "tenant") for word in run] for each in found for run in each[2]]

    assert ["r1", "r2", "r3", "r5", "r6", "r7"] == [run[0] for run in got["acme"]]
    assert got["globex"] == got["acme"]
    assert left_of(server, "globex") == left_of(server, "acme")


def test_what_is_to_be_served_alone_ends_a_fetch_where_it_stands(server: Server) -> None:
    """What stands before it is taken, it and what stands behind it stay in their order; alone it is taken alone."""
    for number in range(5):
        enqueue(server, "acme", f"r{number}")
    server.redis.hset(keys.run("acme", "r2"), "rescues", keys.ALONE_AFTER)

    first, refused = fetch(server, "acme", 1, 10), fetch(server, "acme", 2, 10, idle=False)
    waiting = server.redis.lrange(keys.queue("acme", "acme", 0), 0, -1)
    alone = fetch(server, "acme", 3, 10)

    assert ["r0", "r1"] == [run for run, _ in leases_of(first)]
    assert ([], b"alone") == (leases_of(refused), refused[3])
    assert [b"r2", b"r3", b"r4"] == waiting
    assert ["r2"] == [run for run, _ in leases_of(alone)]


def test_very_many_ends_are_one_call(server: Server) -> None:
    """More than one command of Lua can be given: nothing of them is left in the worker's books."""
    count = 2_500
    for first in range(0, count, 500):
        fields = [(f"r{number}", TASK, "acme", 0, ENVELOPE, "", "", "", "") for number in range(first, first + 500)]
        server.call("enqueue", "acme", *(word for run in fields for word in run))
    leases = [lease for number in range(1, 4) for lease in leases_of(fetch(server, "acme", number, 1_000))]

    answer = server.call(
        "finish", "acme", *(word for run, token in leases for word in (run, token, "succeeded", 5, "", ""))
    )

    assert count == sum(answer) == server.redis.zcard(keys.ended("acme"))
    assert 0 == server.redis.exists(keys.held("acme", WORKER), keys.leases("acme"))


@pytest.mark.parametrize("spoilt", [keys.leases, lambda tenant: keys.held(tenant, WORKER)], ids=["leases", "held"])
def test_a_spoilt_book_stops_no_call(server: Server, spoilt: Any) -> None:
    """A tenant that has made something else of one of its keys is answered, and its other keys are right."""
    for number in range(3):
        enqueue(server, "acme", f"r{number}")
    key = spoilt("acme")
    server.redis.set(key, "spoilt")
    assert isinstance(fetch(server, "acme", 1, 10), list)
    server.redis.delete(key)
    enqueue(server, "acme", "next")
    held = leases_of(fetch(server, "acme", 2, 10))
    server.redis.delete(key)
    server.redis.set(key, "spoilt")

    ended = server.call(
        "finish", "acme", *(word for run, token in held for word in (run, token, "succeeded", 5, "", ""))
    )

    assert [1] * len(held) == ended
    assert {b"succeeded"} == {server.redis.hget(keys.run("acme", run), "state") for run, _ in held}
