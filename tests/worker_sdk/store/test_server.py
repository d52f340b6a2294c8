"""The connection: each of its errors is one of ours, and a full server takes nothing but gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import HandWorker, enqueue, make_server, run_ids
from proxy import Proxy
from redis import exceptions
from taglane import Taglane
from taglane.errors import LibraryMissing, NotReplicated, Refused, ServerFull, ServerUnavailable, TaglaneError
from taglane.store import functions, keys
from taglane.store.server import Server, connect, rename
from taglane_scheduler.embedded import EmbeddedServer, free_port
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane_scheduler.embedded import ServerBinary

SECRET = "s3cret"
URL = f"redis://taglane-acme:{SECRET}@h.example:7000/0"


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    made = make_server(url)
    yield made
    made.close()


@pytest.fixture
def full(binary: ServerBinary) -> Iterator[Server]:
    """A server with the library that takes a few MB, and refuses what is more."""
    with EmbeddedServer(binary=binary, options={"maxmemory": "6mb", "maxmemory-policy": "noeviction"}) as running:
        made = make_server(running.url)
        yield made
        made.close()


def fill(redis: Redis) -> None:
    """Write until the server refuses."""
    size = 2**20
    while size >= 64:
        try:
            redis.append("filler", b"x" * size)
        except exceptions.OutOfMemoryError:
            size //= 2
    with pytest.raises(exceptions.OutOfMemoryError):
        redis.mset({f"filler:{number}": b"x" * 64 for number in range(10_000)})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.AuthenticationError("WRONGPASS no"), Refused),
        (exceptions.AuthenticationError("NOAUTH Authentication required."), Refused),
        (exceptions.NoPermissionError("NOPERM no"), Refused),
        (exceptions.ResponseError("ERR ACL failure in script: no"), Refused),
        (exceptions.ResponseError("NOPERM no"), Refused),
        (exceptions.OutOfMemoryError("OOM"), ServerFull),
        (exceptions.ResponseError("OOM command not allowed"), ServerFull),
        (exceptions.ResponseError("ERR Error running script: -OOM command not allowed"), ServerFull),
        (exceptions.ResponseError("Function not found"), LibraryMissing),
        (exceptions.ResponseError("WRONGTYPE no"), ServerUnavailable),
        (exceptions.ReadOnlyError("READONLY no"), ServerUnavailable),
        (exceptions.ConnectionError("Connection refused"), ServerUnavailable),
        (exceptions.TimeoutError("Timeout"), ServerUnavailable),
        (exceptions.BusyLoadingError("LOADING"), ServerUnavailable),
        (exceptions.DataError("no"), ServerUnavailable),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_each_error_is_renamed(error: exceptions.RedisError, kind: type[TaglaneError]) -> None:
    """By what the caller can do about it; no text of ours shows a password."""
    renamed = rename(error, "fetch", URL)

    assert kind is type(renamed)
    assert SECRET not in str(renamed)


def test_a_server_that_is_gone() -> None:
    """Nobody listens: the error says where, by call, pipeline and reading alike."""
    port = free_port()
    server = Server(f"redis://:{SECRET}@127.0.0.1:{port}/0")

    with pytest.raises(ServerUnavailable, match=f"no server at 127.0.0.1:{port}") as caught:
        server.call("beat", "acme", "w")
    assert SECRET not in str(caught.value)
    with pytest.raises(ServerUnavailable):
        server.calls([("beat", "acme", ["w"])])
    with pytest.raises(ServerUnavailable), server.renamed("reading"):
        server.redis.get("x")


@pytest.mark.one_server("through a proxy, which a node does not announce")
def test_a_server_that_says_nothing(server: EmbeddedServer, redis: Redis) -> None:
    """A peer that is silent for longer than the timeout is as good as gone; when it speaks again, all is well."""
    functions.load(redis)
    with Proxy(server.port) as proxy:
        url = server.url.replace(f":{server.port}/", f":{proxy.port}/")
        client = Server(url, connect(url, timeout=0.2))
        assert 0 == client.call("beat", "acme", "w")
        proxy.silent = True
        with pytest.raises(ServerUnavailable):
            client.call("beat", "acme", "w")
        proxy.silent = False
        assert 0 == client.call("beat", "acme", "w")
        client.close()


@pytest.mark.one_server("through a proxy, which a node does not announce")
def test_a_cut_connection(server: EmbeddedServer, redis: Redis) -> None:
    """It is an error once, and never repeated behind the caller's back; the next call connects anew."""
    functions.load(redis)
    with Proxy(server.port) as proxy:
        client = Server(server.url.replace(f":{server.port}/", f":{proxy.port}/"))
        client.call("hello", "acme", "w")
        proxy.lose_reply_to(b"taglane_beat")
        with pytest.raises(ServerUnavailable):
            client.call("beat", "acme", "w")
        assert 2 == client.call("beat", "acme", "w")
        client.close()


@pytest.mark.parametrize("credential", [":wrong@", "taglane-acme:wrong@", "nobody:wrong@", ""])
def test_a_wrong_password_is_refused(server: EmbeddedServer, store: Server, credential: str) -> None:
    """Another password, another user, none at all: the login is refused, however the server is asked."""
    Tenants(store).create("acme")
    stranger = Server(server.url.replace(f":{server.password}@", credential))

    with pytest.raises(Refused):
        stranger.call("beat", "acme", "w")
    with pytest.raises(Refused):
        stranger.calls([("beat", "acme", ["w"])])
    with pytest.raises(Refused), stranger.renamed("reading"):
        stranger.redis.get("x")
    stranger.close()


@pytest.mark.parametrize("error", [exceptions.AuthenticationError("no"), exceptions.NoPermissionError("no")])
def test_a_refusal_asks_for_the_right_credential(error: exceptions.RedisError) -> None:
    """The tenant's own where the url is a tenant's, unless it was the operator's that was needed."""
    operators = "is TAGLANE_URL the operator's, with its password?"
    tenants = "is TAGLANE_URL this tenant's (taglane tenant create)?"

    assert str(rename(error, "x", URL)).endswith(tenants)
    assert str(rename(error, "x", f"redis://:{SECRET}@h/0")).endswith(operators)
    assert "x takes the operator's credential, and TAGLANE_URL holds that of tenant 'acme'" == str(
        rename(exceptions.NoPermissionError("no"), "x", URL, operator=True)
    )


def test_what_a_credential_does_not_reach_is_refused(store: Server) -> None:
    """By call, in a pipeline, where the others go through, and in reading; the error names what was asked."""
    acme = Server(Tenants(store).create("acme").url)

    with pytest.raises(Refused, match="the server refused beat"):
        acme.call("beat", "other", "w")
    with pytest.raises(Refused, match="the server refused look"):
        acme.call("look", "acme", 1)
    own, others, own_too = acme.calls([("beat", "acme", ["w"]), ("beat", "other", ["w"]), ("beat", "acme", ["w"])])
    assert (0, Refused, 0) == (own, type(others), own_too)
    with pytest.raises(Refused, match="the server refused reading it"), acme.renamed("reading it"):
        acme.redis.get(keys.TENANTS)
    acme.close()


def test_a_function_that_its_caller_may_call_and_not_what_it_does(store: Server, redis: Redis) -> None:
    """The server checks the commands inside as well: that is a refusal too, not an answer."""
    tenant = Tenants(store).create("acme")
    redis.execute_command("ACL", "SETUSER", "taglane-acme", "-hmget")  # type: ignore[no-untyped-call]
    acme = Server(tenant.url)

    with pytest.raises(Refused):
        enqueue(acme)
    acme.close()


def test_a_server_without_the_library(url: str, redis: Redis) -> None:
    """It is one that nobody has set up yet."""
    redis.function_flush()
    server = make_server(url, load=False)

    with pytest.raises(LibraryMissing):
        server.call("beat", "acme", "w")
    (answer,) = server.calls([("beat", "acme", ["w"])])
    assert LibraryMissing is type(answer)
    server.close()


def test_a_full_server_takes_no_run(full: Server) -> None:
    """An enqueue is refused as a whole, also one of many; nothing of it is written."""
    fill(full.redis)
    before = full.redis.dbsize()
    lane = Taglane(full.url)

    with pytest.raises(ServerFull, match="maxmemory"):
        lane.enqueue("a.b", tenant="acme")
    with pytest.raises(ServerFull):
        lane.enqueue_many("a.b", tenant="acme", params=[{"n": n} for n in range(500)])
    with pytest.raises(ServerFull):
        lane.put_job("report", tenant="acme", task="a.b", every="5s")
    assert before == full.redis.dbsize()
    lane.close()


def test_a_full_server_lets_the_workers_drain_it(full: Server) -> None:
    """What shrinks or keeps goes on: a worker fetches, beats, and ends what waits; then there is room again."""
    made = [enqueue(full) for _ in range(20)]
    worker = HandWorker(full).hello()
    first = worker.fetch(5)
    fill(full.redis)

    second = worker.fetch(15)
    assert 1 == worker.beat()
    assert [1] * 20 == worker.finish(first + second)
    assert sorted(made) == sorted(run for run, _ in first + second)
    full.redis.delete("filler")
    assert enqueue(full) in run_ids(full.redis)


def test_calls_answers_in_order(store: Server) -> None:
    """One round trip, an answer each, whichever of them fails."""
    answers = store.calls([("hello", "acme", ["w"]), ("nonsense", "acme", []), ("beat", "acme", ["w"])])

    assert (int, LibraryMissing, 1) == (type(answers[0]), type(answers[1]), answers[2])
    assert [] == store.calls([])


@pytest.mark.one_server("each node has some of the calls")
def test_keys_of_two_tenants_are_never_in_one_call(store: Server, redis: Redis) -> None:
    """Each call names one key, the tenant's prefix: what a cluster needs to route it."""
    with redis.monitor() as monitor:  # type: ignore[no-untyped-call]
        store.calls([("beat", tenant, ["w"]) for tenant in ("acme", "other")])
        seen: list[str] = []
        while len(seen) < 2:
            command: str = monitor.next_command()["command"]
            seen += [command] if command.startswith("FCALL") else []  # the others are those inside

    assert [f"FCALL taglane_beat 1 {keys.prefix(tenant)} w" for tenant in ("acme", "other")] == seen


@pytest.mark.one_server("one without replicas")
def test_what_no_replica_confirms_is_said(store: Server) -> None:
    """Where replicas are to be waited for and there is none, the run is made, and the caller is told both."""
    careful = Server(store.url, replicas=1)
    moves = [("enqueue", "acme", ["acme.1", "a.b", "acme", 0, "{}", "", "", "", ""])]

    with pytest.raises(NotReplicated, match="0 of 1") as caught:
        careful.confirmed(moves)

    assert (0, 1) == (caught.value.reached, caught.value.wanted)
    assert ["acme.1"] == run_ids(store.redis)
    assert [[b"acme.1", 0]] == store.confirmed(moves)
    assert [] == careful.confirmed([])
    careful.close()


def test_an_error_comes_before_the_replicas(store: Server) -> None:
    """What was refused is not said to be made, and waits for nobody."""
    careful = Server(store.url, replicas=1)

    (answer,) = careful.confirmed([("nonsense", "acme", [])])

    assert LibraryMissing is type(answer)
    careful.close()


@pytest.mark.one_server("one without replicas")
def test_a_server_without_replicas_names_none(store: Server) -> None:
    """One that runs by itself."""
    assert [] == store.replica_addresses()
