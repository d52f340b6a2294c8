"""Every command that the server knows, aimed at all that is not the attacker's: none has an effect, none tells."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import server_time
from isolation.commands import Command, commands_of
from isolation.world import CANARY, OWN, TARGETS, VICTIM, Attacker, World, leaks, typed
from redis.exceptions import ExecAbortError, NoPermissionError, ResponseError
from taglane.store import keys
from taglane.store.functions import OPERATOR_MOVES, READS, TENANT_MOVES
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.audit import Audit
from taglane_scheduler.tenancy.denials import Denials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.embedded import ServerBinary

ALLOWED = {
    ("auth",): "logs in; who knows another's password is that one",
    ("hello",): "logs in, and names a protocol; no credential may be denied it",
    ("quit",): "ends its own connection",
    ("reset",): "forgets its own login, and is nobody then",
    ("ping",): "answers what it was sent",
    ("time",): "tells the server's time, which all moves need",
    ("wait",): "waits for replicas to have what this connection has written",
    ("unsubscribe",): "ends its own subscriptions",
    ("sunsubscribe",): "likewise: in a cluster, those of one node",
    ("asking",): "for a slot that is on its way between nodes: the command behind it is checked as any other",
    ("cluster", "slots"): "tells which node has which slots, which every client of a cluster needs; no tenant's name",
}
"""What a tenant may do that names no key and no channel, or only to forget it, each with why that reaches nobody."""

DEADLY = {
    "shutdown", "debug", "replicaof", "slaveof", "failover", "monitor", "sync", "psync", "replconf", "migrate",
    "subscribe", "psubscribe", "ssubscribe", "cluster", "client", "quit", "reset", "hello", "auth",
}  # fmt: skip
"""What the operator does not try out: it ends the server, or leaves a connection that is good for nothing."""


def is_refused(answer: Any) -> bool:
    return isinstance(answer, NoPermissionError) or is_switched_off(answer) or is_of_no_transaction(answer)


def is_of_no_transaction(answer: Any) -> bool:
    """EXEC, which is answered so when it is refused."""
    return isinstance(answer, ExecAbortError) and "NOPERM" in str(answer)


def is_switched_off(answer: Any) -> bool:
    """What a server lets nobody do unless its configuration file says so: MODULE LOAD, DEBUG."""
    return isinstance(answer, ResponseError) and "command not allowed. If" in str(answer)


@pytest.fixture(scope="module")
def known(world: World) -> Iterator[list[Command]]:
    operator = Attacker(world.url)
    yield commands_of(operator)
    operator.close()


def test_no_command_of_the_server_reaches_beyond(world: World, attacker: Attacker, known: list[Command]) -> None:
    """Each in all its forms, at each foreign key, alone and beside a key of one's own; the whole keyspace; channels.

    All are refused for want of a permission, but for a few that are listed above with their reason.
    """
    before = world.look()
    tried = 0
    for command in known:
        refused = 0
        for target in TARGETS if command.has_keys else ("",):
            for words in command.calls(target):
                answer = attacker.send(words)
                tried += 1
                refused += is_refused(answer)
                assert not leaks(answer, words), words
                if not isinstance(answer, Exception):
                    assert command.name in ALLOWED, (words, answer)
                if command.name in ALLOWED:
                    attacker.start_anew()
        assert refused or command.name in ALLOWED, f"no call of {command.name} was refused: is it well-formed?"
        assert [] == before.differences(world.look()), command.name
    print(f"{len(known)} commands, {tried} calls")
    assert tried > 10_000


def test_its_own_limits_are_read_and_never_written(world: World, attacker: Attacker, known: list[Command]) -> None:
    """They lie outside of its pattern: whatever would write them is refused."""
    before = world.look()
    for command in known:
        if not command.has_keys:
            continue
        for words in command.calls(keys.limits("acme")):
            attacker.send(words)
        assert [] == before.differences(world.look()), command.name
    assert [b"running", b"5"] == attacker.send(["HGETALL", keys.limits("acme")])


def test_in_one_write_or_a_transaction_nothing_else_is_reached(
    world: World, attacker: Attacker, known: list[Command]
) -> None:
    """A pipeline is so many commands; MULTI is not granted, so what follows it is refused for itself."""
    before = world.look()
    calls = [
        words
        for command in known
        if command.has_keys and command.name not in ALLOWED
        for words in command.calls(typed(VICTIM, "hash"))
    ]
    for start in range(0, len(calls), 100):
        batch = calls[start : start + 100]
        for answer in attacker.send_many([["MULTI"], *batch, ["EXEC"]]):
            assert isinstance(answer, Exception), answer
            assert not leaks(answer)
    assert [] == before.differences(world.look())


def test_no_script_and_no_function_reaches_beyond(world: World, attacker: Attacker) -> None:
    """Scripts are refused, and functions of its own; ours take one prefix, which is a key; the operator's nothing."""
    before = world.look()
    foreign = keys.prefix(VICTIM)
    script = f"return redis.call('GET', '{typed(VICTIM, 'string')}')"
    library = f"#!lua name=evil\nredis.register_function('evil', function() {script} end)"
    functions = [f"taglane_{move}" for move in [*TENANT_MOVES, *OPERATOR_MOVES]]
    calls: list[list[Any]] = [
        ["EVAL", script, 0],
        ["EVAL", script, 1, OWN],
        ["EVAL_RO", script, 0],
        ["SCRIPT", "LOAD", script],
        ["FUNCTION", "LOAD", library],
        ["FUNCTION", "LOAD", "REPLACE", library.replace("evil", "taglane", 1)],
        ["FUNCTION", "DUMP"],
        ["FUNCTION", "LIST", "WITHCODE"],
        ["FUNCTION", "RESTORE", world.redis.function_dump(), "FLUSH"],
        *(["FCALL", f"taglane_{move}", 1, prefix, "1"] for move in OPERATOR_MOVES for prefix in (foreign, OWN)),
        *([call, name, 1, foreign, "1", "1"] for name in functions for call in ("FCALL", "FCALL_RO")),
    ]
    for words in calls:
        answer = attacker.send(words)
        assert is_refused(answer), (words, answer)
    for name in functions:
        for behind in ([0, foreign], [2, OWN, foreign], [2, foreign, OWN]):
            words = ["FCALL", name, *behind]
            answer = attacker.send(words)
            assert isinstance(answer, Exception), (words, answer)
            assert not leaks(answer)
    assert [] == before.differences(world.look())


def test_no_argument_of_a_function_reaches_beyond(world: World, attacker: Attacker) -> None:
    """Foreign keys, ids and names in every place behind its own prefix: they are only texts there."""
    before = world.look()
    texts = [
        f"{VICTIM}.{CANARY}", VICTIM, keys.prefix(VICTIM), f"}}:run:{keys.prefix(VICTIM)}run:x", "*", "report",
        f"../{VICTIM}", "0", "",
    ]  # fmt: skip
    for move in sorted(TENANT_MOVES, key=lambda move: move not in READS):  # these read what the others have written
        for text in texts:
            for count in (1, 2, 3, 5, 6, 9, 10, 11):
                answer = attacker.send(["FCALL", f"taglane_{move}", 1, OWN, *[text] * count])
                assert not leaks(answer, [text])
    assert [] == before.differences(world.look())


def test_the_attack_is_one_that_would_succeed(binary: ServerBinary) -> None:
    """With the operator's credential the same calls read and change what they aim at: most commands with keys do."""
    with EmbeddedServer(binary=binary) as server:
        world = World(server.url)
        operator = Attacker(server.url)
        keyed = [each for each in commands_of(operator) if each.has_keys and each.name[0] not in DEADLY]
        blunt = [each.name for each in keyed if not any(strikes(world, operator, each, target) for target in TARGETS)]
        operator.close()
        world.close()

    assert len(keyed) > 150
    assert len(blunt) <= 0.15 * len(keyed), blunt


def strikes(world: World, operator: Attacker, command: Command, target: str) -> bool:
    """Whether a call of a command reads the canary of a key, or changes anything, or at least counts for an answer."""
    before = world.look()
    for words in command.calls(target):
        answer = operator.send(words)
        if leaks(answer) or (not isinstance(answer, Exception) and "readonly" in command.flags):
            return True
        if before.differences(world.look()):
            world.plant()
            return True
    return False


def test_each_kind_of_refusal_is_in_the_audit_log(world: World, attacker: Attacker) -> None:
    """A key, a command, a channel, a login, each with how often: however the server groups them in its own log."""
    store = world.operator
    denials = Denials(store)
    while denials.step():
        pass
    store.redis.acl_log_reset()
    since = server_time(store.redis) + 1
    eventually(lambda: server_time(store.redis) >= since)  # what the tests before have left is older
    tries: dict[tuple[str, str], list[Any]] = {
        ("key", keys.limits(VICTIM)): ["HGETALL", keys.limits(VICTIM)],
        ("command", "flushall"): ["FLUSHALL"],
        ("channel", keys.wake(VICTIM)): ["PUBLISH", keys.wake(VICTIM), "1"],
        ("auth", "AUTH"): ["AUTH", f"taglane-{VICTIM}", "guess"],
    }
    for times in (3, 4):
        for words in tries.values():
            for _ in range(times):
                assert isinstance(attacker.send(words), Exception)
        denials.step()

    counts: Counter[tuple[str, str, str]] = Counter()
    for entry in Audit(store).list(since=since, count=10_000):
        if entry.action == "denied":
            details = entry.details
            counts[entry.tenant, str(details["reason"]), str(details["object"])] += int(details["count"])

    for reason, what in tries:
        assert 7 == counts[VICTIM if reason == "auth" else "acme", reason, what], (reason, what)
