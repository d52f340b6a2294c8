"""The rules of a tenant's ACL user, without a server."""

from __future__ import annotations

import re
from importlib import resources

from taglane.store.functions import OPERATOR_MOVES, TENANT_MOVES
from taglane_scheduler.tenancy import acl

CALL = re.compile(r"redis\.p?call\(([^,)]*)")
REGISTERED = re.compile(r"'taglane_(\w+)'")

FORBIDDEN = {
    "acl", "client", "config", "debug", "eval", "evalsha", "flushall", "flushdb", "function", "info", "keys", "module",
    "monitor", "psubscribe", "randomkey", "replicaof", "save", "scan", "script", "shutdown", "swapdb",
}  # fmt: skip


def lua_of_tenants() -> str:
    """The text of the prelude and of every file that holds a move of tenants."""
    folder = resources.files("taglane.store") / "lua"
    texts = [entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".lua")]
    return "\n".join(text for text in texts if not set(REGISTERED.findall(text)) or is_tenants(text))


def is_tenants(text: str) -> bool:
    return bool(set(REGISTERED.findall(text)) & set(TENANT_MOVES))


def test_what_is_granted_for_the_functions_is_what_their_lua_calls() -> None:
    """A command that a move begins to use is granted, and one that no move uses any more is not."""
    used = {name.lower() for call in CALL.findall(lua_of_tenants()) for name in re.findall(r"'([A-Z]+)'", call)}

    assert used == set(acl.INSIDE)
    assert len(acl.INSIDE) == len(used)


def test_every_call_in_the_lua_names_its_command() -> None:
    """A command computed at run time would escape the test above."""
    calls = CALL.findall(lua_of_tenants())

    assert calls
    assert [] == [call for call in calls if not re.search(r"'[A-Z]+'", call)]


def test_nothing_that_reaches_beyond_the_keys_is_granted() -> None:
    """Commands that take no key have no pattern to stop them."""
    granted = {command.lstrip("+") for command in acl.rules("acme", []) if command.startswith("+")}

    assert set() == FORBIDDEN & granted
    assert set() == {command for command in granted if command.startswith("@")}


def test_only_the_moves_of_tenants_are_granted() -> None:
    """The control plane's moves are functions too, and not a tenant's."""
    functions = {rule.removeprefix("+fcall|taglane_") for rule in acl.rules("acme", []) if rule.startswith("+fcall")}

    assert {*TENANT_MOVES, "version"} == functions
    assert set() == functions & set(OPERATOR_MOVES)


def test_the_rules_start_from_nothing() -> None:
    """What an earlier version granted is gone once the rules are applied again."""
    assert [
        "reset",
        "on",
        "#aa",
        "#bb",
        "~taglane:{acme}:*",
        "%R~taglane-ro:{acme}:*",
        "&taglane:{acme}:*",
    ] == acl.rules("acme", ["aa", "bb"])[:7]


def test_only_a_database_that_is_not_the_first_is_selected() -> None:
    """And no other beside it."""
    assert [] == [rule for rule in acl.rules("acme", []) if "select" in rule]
    assert ["+select|3"] == [rule for rule in acl.rules("acme", [], database=3) if "select" in rule]


def test_no_list_names_a_command_twice() -> None:
    """What the functions use anyway needs no second grant."""
    assert set() == set(acl.INSIDE) & set(acl.DIRECT)
    assert len(set(acl.DIRECT)) == len(acl.DIRECT)
