"""By which key a command is routed."""

from __future__ import annotations

from typing import Any

import pytest
from taglane.store import keys
from taglane.store.command_keys import key_of, slot_of


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("FCALL", "taglane_beat", 1, "taglane:{acme}:", "w"), "taglane:{acme}:"),
        (("FCALL", "taglane_version", 0), None),
        (("fcall_ro", "taglane_look", "1", "k"), "k"),
        (("EVAL", "return 1", 1, "k"), "k"),
        (("EVAL", "return 1", 0), "return 1"),
        (("HGET", "k", "f"), "k"),
        ((b"hget", b"k", b"f"), b"k"),
        (("BLPOP", "a", "b", 1), "a"),
        (("MEMORY USAGE", "k"), "k"),
        (("OBJECT", "ENCODING", "k"), "k"),
        (("XINFO", "STREAM", "k"), "k"),
        (("XREAD", "COUNT", 1, "STREAMS", "k", "0"), "k"),
        (("XREAD", b"BLOCK", b"1", b"streams", "k", "0"), "k"),
        (("PUBLISH", "channel", "x"), "channel"),
        (("PING",), None),
        (("TIME",), None),
    ],
)
def test_the_key_of_a_command(command: tuple[Any, ...], key: str | None) -> None:
    """Its first, wherever that stands; none of one that any node answers."""
    assert key == key_of(command)


@pytest.mark.parametrize("command", [("INFO",), ("ACL SETUSER", "x"), ("FLUSHALL",), ("KEYS", "*"), ("WAIT", 1, 1)])
def test_what_is_about_one_node_is_refused(command: tuple[Any, ...]) -> None:
    """Whoever means one node, or all, says so."""
    with pytest.raises(ValueError, match=r"Server\.nodes\(\)"):
        key_of(command)


def test_a_tenant_is_one_slot() -> None:
    """All its keys are, what it may only read too; another's are elsewhere."""
    own = {slot_of(key) for key in (keys.prefix("acme"), keys.run("acme", "acme.1"), keys.limits("acme"))}

    assert 1 == len(own)
    assert own != {slot_of(keys.prefix("globex"))}
    assert 12_182 == slot_of("foo") == slot_of(b"foo")
