"""What a tenant's credential opens on a real server: all of its own, nothing of another tenant's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from cluster import everywhere
from redis import exceptions
from snapshot import content
from taglane.errors import Refused
from taglane.store import keys
from taglane.store.functions import OPERATOR_MOVES, TENANT_MOVES
from taglane.store.server import Server
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

NEIGHBOURS = ("other", "acme1", "acm", "acme-1")
"""Other tenants, most with a name that a sloppy pattern would confuse with `acme`."""

ENVELOPE = '{"b":"[[],{},{}]"}'


@pytest.fixture
def operator(url: str) -> Iterator[Server]:
    server = Server(url)
    yield server
    server.close()


@pytest.fixture
def acme(operator: Server) -> Iterator[Server]:
    """A connection with acme's own credential, beside neighbours that have data."""
    tenants = Tenants(operator)
    for name in NEIGHBOURS:
        tenants.create(name)
        Tenant(operator, name).enqueue(f"{name}.1")
        operator.redis.hset(f"taglane-ro:{{{name}}}:limits", "running", "1000")
    server = Server(tenants.create("acme").url)
    operator.redis.hset("taglane-ro:{acme}:limits", "running", "1000")
    everywhere(operator.redis).acl_log_reset()
    yield server
    server.close()


@dataclass
class Tenant:
    """Calls moves for one tenant, and remembers which."""

    server: Server
    name: str = "acme"
    called: set[str] = field(default_factory=set)

    def call(self, move: str, *args: str | int) -> Any:
        self.called.add(move)
        return self.server.call(move, self.name, *args)

    def enqueue(self, run: str, at: str = "", expires: str = "", key: str = "", depends: str = "") -> Any:
        return self.call("enqueue", run, "shop.task", self.name, 0, ENVELOPE, at, expires, key, depends)

    def fetch(self, worker: str, number: int, most: int = 10) -> list[tuple[str, int]]:
        self.call("hello", worker, "info", "{}", "tags", self.name)
        _, _, runs, _ = self.call("fetch", worker, number, most, "1", self.name)
        return [(run[0].decode(), run[1]) for run in runs]

    def put(self, job: str, after: str = "") -> Any:
        return self.call("put", job, "{}", "shop.task", self.name, 0, ENVELOPE, after, "skip", "60000", "1", "{}")


def live_as_a_worker(tenant: Tenant) -> None:
    """Fetch, renew, finish, fail, retry, hand back, leave, and take over from a worker that died."""
    for number in range(8):
        tenant.enqueue(f"acme.{number}", expires="+60000", key=f"k{number}", depends="1")
    tenant.enqueue("acme.later", at="+1")
    held = tenant.fetch("w1", 1)
    tenant.call("renew", "w1", 1, 1, held[0][0], held[0][1], 5, "1", held[1][0], held[1][1])
    tenant.call("beat", "w1")
    tenant.call("progress", held[0][0], held[0][1], '{"s":"PROGRESS"}')
    assert 1 == tenant.call("log", held[0][0], held[0][1], 1, 1, 1, 1, 9_999, *["5\tINFO\tlog\tshop\ttext"] * 3)
    assert 1 == tenant.call("log_lost", held[0][0], held[0][1], 2)
    assert (
        2 == len(tenant.call("log_page", held[0][0], "", 10)[3]) == len(tenant.call("log_page", held[0][0], "$", 10)[3])
    )
    tenant.call("finish", held[0][0], held[0][1], "succeeded", 5, '{"r":1}', "")
    tenant.call("finish", held[1][0], held[1][1], "failed", 5, '{"e":"x"}', "")
    tenant.call("finish", held[2][0], held[2][1], "replaced", "", "", "")
    tenant.call("retry", held[3][0], held[3][1], "+60000", ENVELOPE, '{"e":"x"}', "shop.task", "acme", 0)
    tenant.call("retry", held[4][0], held[4][1], "", ENVELOPE, "", "shop.task", "acme", 0)
    tenant.call("hand_back", "", held[5][0], held[5][1])
    tenant.call("hand_back", 60_000, held[6][0], held[6][1])
    assert "asked" == tenant.call("cancel", held[7][0], "why").decode()
    assert 1 == tenant.call("drain", "w1")
    tenant.call("leave", "w1")
    tenant.fetch("w2", 1)
    for _ in range(3):
        tenant.call("rescue", "w2", "0")
        tenant.fetch("w2", 1)
    tenant.call("cancel", held[3][0], "why")
    tenant.enqueue("acme.fatal")
    run, token = tenant.fetch("w4", 1)[0]
    assert [0, 0] != tenant.call("died", run, token)
    tenant.call("replay", held[1][0], "acme.again")
    tenant.call("record", "acme.never", "failed", '{"e":"x"}', "shop.task", "acme")
    tenant.enqueue("acme.short", expires="+0")
    tenant.call("expire")
    tenant.enqueue("acme.unwanted", depends="1")
    assert tenant.call("purge", "acme", "1")[0] > 0
    tenant.enqueue("acme.hopeless")
    ((run, token),) = [held for held in tenant.fetch("w4", 2, 50) if held[0] == "acme.hopeless"]
    tenant.call("finish", run, token, "dead", 5, '{"e":"x"}', "")
    assert 1 == tenant.call("drop", run)


def live_as_a_client(tenant: Tenant) -> None:
    """Chords, jobs, and what follows from them."""
    tenant.call("chord", "g", "acme.join", "shop.task", "acme", 0, ENVELOPE)
    tenant.call("chord_size", "g", 2)
    tenant.call("part", "g", "0:acme.zero", "{}")
    tenant.enqueue("acme.part")
    ((run, token),) = [held for held in tenant.fetch("w3", 1, 50) if held[0] == "acme.part"]
    tenant.call("finish", run, token, "succeeded", 5, "{}", "1:acme.part g {}")
    tenant.put("report", after="1000")
    tenant.call("pause", "report", "1", "")
    tenant.call("pause", "report", "", "5")
    tenant.call("trigger", "report", "acme.triggered", "")
    for index in ("runs", "ended", "unwell", "dead", "open", "last", "skipped"):
        for tie in ("", "<", "acme.part"):
            made = int(tenant.server.redis.zscore(keys.runs("acme"), "acme.part") or 0)
            tenant.call("search", index, made, tie, "1", made, 5, 100, "queued,scheduled", "report", "*", "", "a*")
    tenant.call("standing", 30_000)
    ((run, token),) = [held for held in tenant.fetch("w3", 2, 50) if held[0] == "acme.triggered"]
    tenant.call("finish", run, token, "succeeded", 5, "{}", "")
    tenant.call("remove", "report")


def test_with_its_own_credential_a_tenant_makes_every_move(acme: Server, redis: Redis) -> None:
    """Nothing that a tenant is meant to do meets a refusal: the server's log of them stays empty."""
    tenant = Tenant(acme)

    live_as_a_client(tenant)
    live_as_a_worker(tenant)

    assert set(TENANT_MOVES) == tenant.called
    assert [] == redis.acl_log()


def test_a_client_reads_and_listens_within_its_own(acme: Server, redis: Redis) -> None:
    """What readers and waiters ask without a function is granted."""
    with acme.node_at(keys.prefix("acme")).pubsub() as listener:
        listener.ssubscribe(keys.done("acme", "acme.1"))
        listener.ping()
        listener.sunsubscribe()
        assert listener.get_message(timeout=5)
    Tenant(acme).enqueue("acme.1")
    pipeline = acme.redis.pipeline(transaction=False)
    pipeline.hgetall(keys.run("acme", "acme.1"))
    pipeline.lrange(keys.queue("acme", "acme", 0), 0, -1)
    pipeline.zrevrange(keys.runs("acme"), 0, -1)
    pipeline.blpop([keys.bell("acme", "acme")], 1)
    pipeline.hgetall("taglane-ro:{acme}:limits")
    pipeline.execute()
    acme.redis.fcall("taglane_version", 0)

    assert [] == redis.acl_log()


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
@pytest.mark.parametrize("move", TENANT_MOVES)
def test_no_move_reaches_a_neighbour(acme: Server, move: str, neighbour: str) -> None:
    """Whatever the arguments: the prefix is a key, and keys are checked before the function runs."""
    with pytest.raises(Refused):
        acme.call(move, neighbour, "a", "b", "c")


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
def test_a_function_that_is_given_a_part_of_a_key_reaches_no_neighbour(
    acme: Server, redis: Redis, neighbour: str
) -> None:
    """A name with braces stays within the prefix it is put behind; keys inside a function are checked as well."""
    before = content(redis, keys.run(neighbour, f"{neighbour}.1"))

    acme.call("cancel", "acme", f"}}:run:taglane:{{{neighbour}}}:run:{neighbour}.1", "why")
    with pytest.raises(exceptions.NoPermissionError):
        acme.redis.fcall("taglane_cancel", 1, "taglane:{", f"{neighbour}}}:run:{neighbour}.1", "why")

    assert before == content(redis, keys.run(neighbour, f"{neighbour}.1"))


@pytest.mark.parametrize(
    "prefix", ["", "taglane:", "taglane:{acme", "taglane:{acme}", "taglane:{acme}1:", "xtaglane:{acme}:"]
)
def test_no_other_prefix_is_taken(acme: Server, prefix: str) -> None:
    """A shorter or longer prefix does not widen what a credential reaches."""
    with pytest.raises(exceptions.NoPermissionError):
        acme.redis.fcall("taglane_expire", 1, prefix)


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
@pytest.mark.parametrize(
    "command",
    [
        "GET {0}key:k", "HGETALL {0}run:{1}.1", "HSET {0}run:{1}.1 state failed", "DEL {0}run:{1}.1",
        "LRANGE {0}queue:{1}:0 0 -1", "LPOP {0}queue:{1}:0", "RPUSH {0}queue:{1}:0 x", "BLPOP {0}bell:{1} 1",
        "SMEMBERS {0}workers", "ZRANGE {0}runs 0 -1", "ZREM {0}runs {1}.1", "PUBLISH {0}wake 1", "SUBSCRIBE {0}wake",
        "SSUBSCRIBE {0}done:{1}.1", "PSUBSCRIBE taglane:*", "SUBSCRIBE taglane:*", "GET taglane-ro:{{{1}}}:limits",
    ],
)  # fmt: skip
def test_no_command_reaches_a_neighbour(acme: Server, command: str, neighbour: str) -> None:
    """Without a function either: reading, writing, waiting and listening all stop at the prefix."""
    words = command.format(keys.prefix(neighbour), neighbour).split()

    with pytest.raises(exceptions.NoPermissionError):
        acme.redis.execute_command(*words)


@pytest.mark.parametrize(
    "command",
    [
        "EVAL return(1) 0", "SCRIPT LOAD x", "FUNCTION LIST", "FUNCTION FLUSH", "KEYS *", "SCAN 0", "FLUSHALL",
        "FLUSHDB", "CONFIG GET *", "MONITOR", "ACL LIST", "ACL WHOAMI", "CLIENT LIST", "CLIENT PAUSE 1",
        "CLIENT KILL TYPE normal", "INFO", "SHUTDOWN", "SAVE", "RANDOMKEY", "SWAPDB 0 1", "SLOWLOG GET",
        f"HGETALL {keys.TENANTS}", f"HGETALL {keys.SCHEDULERS}", "SET taglane-ro:{acme}:limits 999",
        "DEL taglane-ro:{acme}:limits", "SORT taglane:{acme}:runs BY taglane:{other}:*",
        "COPY taglane:{other}:runs taglane:{acme}:runs", "MULTI", "PUBSUB CHANNELS *", "COMMAND", "LATENCY LATEST",
        "MEMORY STATS", "REPLICAOF NO ONE",
    ],
)  # fmt: skip
def test_what_reaches_beyond_the_keys_is_refused(acme: Server, command: str) -> None:
    """The server's own affairs, other tenants' names, and the limits that the operator sets."""
    with pytest.raises(exceptions.NoPermissionError):
        acme.node_at(keys.prefix("acme")).execute_command(*command.split())


@pytest.mark.parametrize("move", OPERATOR_MOVES)
def test_the_control_planes_moves_are_refused(acme: Server, move: str) -> None:
    """Also for its own jobs, a tenant does not fire."""
    with pytest.raises(Refused):
        acme.call(move, "acme", 1)


@pytest.mark.parametrize("number", [0, 1, 15])
def test_no_other_database_is_opened(acme: Server, number: int) -> None:
    """A tenant keeps nothing where its deletion would not find it."""
    with pytest.raises(exceptions.NoPermissionError):
        acme.redis.execute_command("SELECT", number)


@pytest.mark.one_server("a cluster has one database")
def test_where_taglane_has_a_database_of_its_own_that_one_is(url: str, redis: Redis) -> None:
    """Tenants live in the operator's database, and reach no other."""
    operator = Server(url.removesuffix("/0") + "/3")
    made = Tenants(operator).create("acme")
    server = Server(made.url)
    redis.acl_log_reset()

    Tenant(server).enqueue("acme.1")

    assert made.url.endswith("/3")
    assert 1 == operator.redis.exists(keys.run("acme", "acme.1"))
    assert 0 == redis.exists(keys.run("acme", "acme.1"))
    assert [] == redis.acl_log()
    with pytest.raises(exceptions.NoPermissionError):
        server.redis.execute_command("SELECT", 0)
    for each in (operator, server):
        each.close()
