"""The function library as a whole: it loads, says its version, names what it does, and stays within one tenant."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from factories import make_server
from redis import Redis
from redis.exceptions import ResponseError
from taglane.store import functions, keys
from taglane.store.functions import OPERATOR_MOVES, POOL_MOVES, READS, TENANT_MOVES

if TYPE_CHECKING:
    from taglane.store.server import Server

SOURCES = {
    entry.name.removesuffix(".lua"): entry.read_text("utf-8")
    for entry in (resources.files("taglane.store") / "lua").iterdir()
    if entry.name.endswith(".lua")
}
MOVES = sorted(name for name in SOURCES if not name.startswith("prelude"))
REGISTERED = re.compile(r"'taglane_(\w+)'")
LOCAL = re.compile(r"^local (?:function )?(\w+)", re.MULTILINE)
KEY = re.compile(r"\b(\w+)_(?:key|channel)\(")

GROWS = {"enqueue", "fire", "trigger", "put", "replay", "chord", "log"}
"""What makes something new: a full server refuses it. All others serve, keep or end what is there."""

ENVELOPE = '{"b":"[[],{},{}]"}'


def header_of(name: str) -> str:
    """The comment that a file opens with, as one text."""
    lines = re.match(r"(?:--.*\n)+", SOURCES[name])
    assert lines, name
    return re.sub(r"\n--", "", lines[0])


def test_the_library_loads_and_says_its_version(redis: Redis) -> None:
    """What the server runs is what this code has; to load it again writes nothing."""
    redis.function_flush()

    assert [True, False] == [functions.load(redis) for _ in range(2)]

    assert functions.version().encode() == redis.fcall("taglane_version", 0)


def test_another_version_is_replaced(redis: Redis) -> None:
    """An upgrade takes the place of the library that is there, under the same name."""
    old = f"#!lua name={functions.LIBRARY}\nredis.register_function('taglane_version', function() return 'old' end)"
    redis.function_load(old, replace=True)

    assert functions.load(redis)

    assert functions.version().encode() == redis.fcall("taglane_version", 0)


def test_a_newer_library_stays(redis: Redis) -> None:
    """An older command does not undo an upgrade; a library from before there were numbers is replaced."""
    newer = functions.library().replace("-- library ", "-- library 9", 1)
    older = f"#!lua name={functions.LIBRARY}\nredis.register_function('taglane_version', function() return 'old' end)"
    redis.function_load(newer, replace=True)

    assert not functions.load(redis)

    redis.function_load(older, replace=True)
    assert functions.load(redis)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (functions.library(), functions.NUMBER),
        (functions.version(), functions.NUMBER),
        ("#!lua name=taglane\n-- library 12\nreturn", 12),
        ("12-abc", 12),
        ("0123456789abcdef", 0),
        ("", 0),
    ],
    ids=["ours", "version", "source", "short", "before numbers", "none"],
)
def test_the_number_of_a_library(text: str, number: int) -> None:
    """From its source, or from what it says of itself."""
    assert number == functions.number_of(text)


def test_every_function_is_a_tenants_or_the_operators(redis: Redis) -> None:
    """One that is in neither list would be granted to nobody; one that is in no file would be granted in vain."""
    functions.load(redis)

    assert {*TENANT_MOVES, *OPERATOR_MOVES, "version"} == set(loaded(redis))
    assert len(TENANT_MOVES) == len(set(TENANT_MOVES))
    assert set() == set(TENANT_MOVES) & set(OPERATOR_MOVES)


def test_only_what_makes_something_new_is_refused_by_a_full_server(redis: Redis) -> None:
    """A function without `allow-oom` is refused whole when memory is out: what ends a run must never be."""
    functions.load(redis)
    flags = loaded(redis)

    assert {name for name, given in flags.items() if "allow-oom" not in given} == {*GROWS, *READS, "version"}
    assert {name for name, given in flags.items() if "no-writes" in given} == {*READS, "version"}


def loaded(redis: Redis) -> dict[str, set[str]]:
    """The library's functions on the server, without their prefix, and their flags."""
    library, *_ = redis.function_list(library=functions.LIBRARY)
    found: list[list[Any]] = dict(zip(library[::2], library[1::2], strict=True))[b"functions"]
    entries = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in found]
    return {
        entry[b"name"].decode().removeprefix("taglane_"): {flag.decode() for flag in entry[b"flags"]}
        for entry in entries
    }


@pytest.mark.parametrize("name", MOVES)
def test_a_header_says_what_its_functions_do_take_and_write(name: str) -> None:
    """Each function by name, KEYS and ARGV, what it writes and returns: nobody has to read the code to call it."""
    header = header_of(name)
    registered = REGISTERED.findall(SOURCES[name])

    assert header.startswith(f"-- {name}: ") or name not in registered
    assert [] == [function for function in registered if f"{function}: " not in header]
    assert f"KEYS  1 the {'pool' if name == 'pool' else 'tenant'}'s prefix" in header
    for word in ("ARGV  ", "rites ", "Returns "):
        assert word in header, word


@pytest.mark.parametrize("name", MOVES)
def test_a_header_names_every_key_that_its_file_touches(name: str) -> None:
    """A key that is only in the code is a surprise to whoever changes another file."""
    touched = {"key" if key == "idempotency" else key for key in KEY.findall(SOURCES[name])}

    assert [] == [key for key in sorted(touched) if not re.search(rf"\b{key}s?\b", header_of(name))]


def test_no_file_hides_a_name_of_another() -> None:
    """The prelude's are in all files: a second local of the same name would hide one; and a name means one thing."""
    names = {file: LOCAL.findall(source) for file, source in SOURCES.items()}
    everywhere = [name for own in names.values() for name in own]
    shared = sum(len(own) for file, own in names.items() if file.startswith("prelude"))

    assert sorted(set(everywhere)) == sorted(everywhere)
    assert shared + max(len(own) for file, own in names.items() if not file.startswith("prelude")) < 190, (
        "Lua has no more than 200 locals in a chunk"
    )


def play(server: Server, tenant: str) -> None:
    """Make every move once or more, so that most branches are taken."""

    def call(move: str, *args: str | int) -> Any:
        return server.call(move, tenant, *args)

    def enqueue(run: str, at: str = "", expires: str = "", depends: str = "") -> None:
        call("enqueue", run, "shop.task", tenant, 0, ENVELOPE, at, expires, f"key-{run}", depends)

    def fetch(number: int, worker: str = "w") -> list[tuple[str, int]]:
        call("hello", worker, "tags", tenant)
        return [(run[0].decode(), int(run[1])) for run in call("fetch", worker, number, 10, "1", tenant)[2]]

    for number in range(7):
        enqueue(f"r{number}", expires="+60000", depends="1")
    enqueue("late", at="+60000")
    enqueue("past", expires="+0")
    call("expire")
    held = dict(fetch(1))
    call("renew", "w", 1, 1, "r0", held["r0"], 5, "1", "r0", held["r0"])
    call("beat", "w")
    call("progress", "r0", held["r0"], '{"s":"HALF"}')
    call("log", "r0", held["r0"], 1, 1, 0, 1, 1000, *["5\tINFO\tlog\tshop\ttext"] * 2)
    call("log_lost", "r0", held["r0"], 1)
    call("log_page", "r0", "", 10)
    call("log_page", "r0", "$", 10)
    call("cancel", "r1", "why")
    call("cancel", "late", "why")
    call("chord", "g", "join", "shop.task", tenant, 0, ENVELOPE)
    call("chord_size", "g", 2)
    call("part", "g", "0:zero", "{}")
    call("finish", "r0", held["r0"], "failed", 5, "{}", "1:one g {}", "r1", held["r1"], "cancelled", "", "", "")
    call("retry", "r2", held["r2"], "+1", ENVELOPE, "", "shop.task", tenant, 0)
    call("hand_back", "", "r3", held["r3"])
    call("died", "r4", held["r4"])
    call("replay", "r0", "replayed")
    call("finish", "r5", held["r5"], "dead", 5, "{}", "")
    call("drop", "r5")
    call("record", "never", "failed", "{}", "shop.task", tenant)
    call("rescue", "w", "2")
    fetch(1, "other")
    call("drain", "other")
    call("leave", "other")
    call("purge", tenant, "1")
    call("put", "job", "{}", "shop.task", tenant, 0, ENVELOPE, 1000, "skip", 60_000, 1, "{}")
    call("look", 10)
    call("govern", "running", 3, "rate", 100, "fires", 100, "queued", 1000)
    call("fire", "job", 1, 1, 2, "fired")
    call("fire", "job", 2, 1, "", "skipped")
    call("trigger", "job", "triggered", "")
    call("pause", "job", "1", "")
    for index in ("runs", "ended", "unwell", "dead", "open", "last", "skipped"):
        call("search", index, "", "", "1", "", 5, 100, "queued,running,scheduled", "job", "shop.*", "", "r*")
        call("search", index, 9 * 10**15, "r1", "", 9 * 10**15, 5, 100, "queued,running,scheduled", "", "", "", "")
    call("standing", 1)
    call("remove", "job")
    call("tally", "20261120")


@pytest.mark.one_server("each node has some of the calls")
def test_no_call_touches_keys_of_two_tenants(server: Any, redis: Redis) -> None:
    """Each command inside a function names keys and channels of the tenant whose prefix the call was given, alone."""
    moves = make_server(server.url)
    called, touched = set(), []
    with Redis.from_url(server.url) as watcher, watcher.monitor() as monitor:
        for tenant in ("acme", "other"):
            play(moves, tenant)
        redis.ping()
        own = ""
        while (heard := monitor.next_command())["command"] != "PING":
            words = heard["command"].split(" ")
            if heard["client_type"] != "lua":
                assert "FCALL" == words[0]
                called.add(words[1].removeprefix("taglane_"))
                own = words[3]
            elif words[0] != "TIME":
                touched.append((own, words))
    moves.close()

    assert {*TENANT_MOVES, *OPERATOR_MOVES} - set(POOL_MOVES) == called
    assert {keys.prefix("acme"), keys.prefix("other")} == {own for own, _ in touched}
    for own, words in touched:
        named = [words[1]] if words[0] in {"PUBLISH", "SPUBLISH"} else keys_of(redis, tuple(words))
        assert named, words
        assert [] == [key for key in named if not key.startswith((own, own.replace("taglane:", "taglane-ro:", 1)))], (
            words
        )


def keys_of(redis: Redis, words: tuple[str, ...]) -> list[str]:
    """The keys of a command, as the server itself understands it."""
    try:
        found: Any = redis.command_getkeys(*words)
    except ResponseError as error:
        pytest.fail(f"{words}: {error}")
    return [key if isinstance(key, str) else key.decode() for key in found]
