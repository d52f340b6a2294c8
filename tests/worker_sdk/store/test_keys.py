"""The spelling of keys: one tenant's never reach another's, and the Lua prelude spells them as Python does."""

from __future__ import annotations

import inspect
import re
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path

import pytest
import taglane
from hypothesis import given
from hypothesis import strategies as st
from taglane.errors import BadName
from taglane.model.names import check_tenant
from taglane.store import keys

LUA = resources.files("taglane.store") / "lua"
PRELUDE = (LUA / "prelude.lua").read_text("utf-8")

BUILDERS = {
    name: function
    for name, function in inspect.getmembers(keys, inspect.isfunction)
    if not name.endswith("prefix") and "tenant" in inspect.signature(function).parameters
}
"""What builds a key or a channel of a tenant."""


def built(name: str, tenant: str, *parts: str) -> str:
    """The key that a builder makes, of as many parts as it takes."""
    function = BUILDERS[name]
    wanted = len(inspect.signature(function).parameters) - 1
    key: str = function(tenant, *parts[:wanted])
    return key


def lua_builders() -> dict[str, tuple[list[str], str]]:
    """The prelude's builders: name -> parameters, expression."""
    found = re.findall(
        r"^local function (\w+)_(?:key|channel)\(P(?:, )?([^)]*)\) return (.+) end$", PRELUDE, re.MULTILINE
    )
    return {name: (re.findall(r"\w+", parameters), expression) for name, parameters, expression in found}


def evaluated(expression: str, values: dict[str, str]) -> str:
    """What a Lua concatenation of names and quoted texts is."""
    terms = [term.strip() for term in expression.split("..")]
    return "".join(term[1:-1] if term.startswith("'") else values[term] for term in terms)


def test_the_prelude_spells_each_key_as_python_does() -> None:
    """Whichever side writes a key, the other side finds it."""
    prelude = lua_builders()

    assert {"run", "queue", "delayed", "bell", "leases", "due", "done", "wake"} <= set(prelude)
    for name, (parameters, expression) in prelude.items():
        parts = [f"<{number}>" for number in range(len(parameters))]
        values = {"P": keys.prefix("acme"), "string.sub(P, 9)": "{acme}:", **dict(zip(parameters, parts, strict=True))}
        assert evaluated(expression, values) == built(name, "acme", *parts), name


def test_the_prelude_spells_a_pools_keys_as_python_does() -> None:
    """Likewise; and none of them is in a tenant's reach, whatever the pool is called."""
    builders = {name for name, _ in inspect.getmembers(keys, inspect.isfunction) if name.startswith("pool_")}
    found = re.findall(r"^local function (pool_\w+)_key\(Q(?:, )?([^)]*)\) return (.+) end$", PRELUDE, re.MULTILINE)

    assert builders - {"pool_prefix"} == {name for name, _, _ in found}
    for name, parameters, expression in found:
        parts = ["<0>"] if parameters else []
        values = {"Q": keys.pool_prefix("acme"), parameters: "<0>"}
        assert evaluated(expression, values) == getattr(keys, name)("acme", *parts)
        assert not getattr(keys, name)("acme", *parts).startswith(keys.prefix("acme"))


def test_what_the_prelude_lacks_no_function_needs() -> None:
    """A Celery group is saved and read by the client alone; what is written to be confirmed is read by nobody."""
    assert {"group", "noted"} == set(BUILDERS) - set(lua_builders())


def test_lua_spells_no_key_outside_of_the_prelude() -> None:
    """A key that is put together anywhere else would be missed when it changes."""
    for file in LUA.iterdir():
        source = file.read_text("utf-8") if file.name.endswith(".lua") and file.name != "prelude.lua" else ""
        assert not re.search(r"\bP\s*\.\.|keys\[1\]\s*\.\.", source), file.name


def test_python_spells_no_key_outside_of_its_module() -> None:
    """Likewise."""
    home = Path(str(taglane.__file__)).parent
    for file in home.rglob("*.py"):
        if file.name not in {"keys.py", "pool_keys.py"}:
            code = re.sub(r'""".*?"""|#.*', "", file.read_text("utf-8"), flags=re.DOTALL)
            assert not re.search(r"""["']taglane:[^/]""", code), file


def test_constants_are_the_preludes() -> None:
    """The steps of priority, and when a run is served alone."""
    steps = re.search(r"^local STEPS = \{(.+)\}", PRELUDE, re.MULTILINE)
    alone = re.search(r"^local ALONE_AFTER = (\d+)", PRELUDE, re.MULTILINE)

    assert steps is not None
    assert alone is not None
    assert [str(step) for step in keys.STEPS] == re.findall(r"\d+", steps[1])
    assert str(keys.ALONE_AFTER) == alone[1]


def hash_tag(key: str) -> str:
    """What a cluster hashes of a key: what stands between its first brace and the next closing one."""
    return key[key.index("{") + 1 : key.index("}", key.index("{"))]


tenants = st.from_regex("[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)


@given(tenants, st.text(max_size=20), st.text(max_size=20))
def test_all_keys_of_a_tenant_are_one_slot(tenant: str, first: str, second: str) -> None:
    """Whatever the other parts hold: their braces come too late."""
    for name in BUILDERS:
        key = built(name, tenant, first, second, "0")
        assert tenant == hash_tag(key)
        assert key.startswith((keys.prefix(tenant), keys.read_only_prefix(tenant)))


@given(tenants, tenants, st.text(max_size=20))
def test_no_tenants_key_is_anothers(one: str, other: str, part: str) -> None:
    """Nor is one prefix the start of another, as `acme` is of `acme1`."""
    for name in BUILDERS:
        assert one == other or not built(name, one, part, part, "0").startswith(keys.prefix(other))


def nobodys_keys() -> dict[str, str]:
    """The keys that are neither a tenant's nor a pool's: constants, and what is built of one part."""
    named = {name: value for name, value in vars(keys).items() if name.isupper() and isinstance(value, str)}
    patterns = {"POOL_ALL", "WAKE_ALL"}  # of the tenants' channels
    built_ones = {name: getattr(keys, name)("x") for name in ("session", "ticket", "tries", "alert_queue")}
    return {name: value for name, value in {**named, **built_ones}.items() if name not in patterns}


def test_what_is_nobodys_is_one_slot() -> None:
    """Some of it is written, or read, in one step."""
    assert {"."} == {hash_tag(key) for key in nobodys_keys().values()}
    assert {"TENANTS", "DENIALS", "ALERT_OUTBOX", "PEOPLE", "session"} <= nobodys_keys().keys()


@given(tenants)
def test_what_is_nobodys_is_in_no_tenants_reach(tenant: str) -> None:
    """Neither by the patterns of its user, nor as a tenant's name, nor as a pattern of many keys."""
    mine = (f"{keys.prefix(tenant)}*", f"{keys.read_only_prefix(tenant)}*")

    assert not re.search(r"[*?\[\]^\\]", keys.NOBODY)
    assert not [key for key in nobodys_keys().values() for pattern in mine if fnmatchcase(key, pattern)]
    with pytest.raises(BadName):
        check_tenant(hash_tag(keys.NOBODY))


def test_no_two_kinds_share_a_key() -> None:
    """However their parts are called."""
    made = [built(name, "acme", part, "x", "0") for name in BUILDERS for part in ("a", "runs", "due")]
    several = {name for name in BUILDERS if len(inspect.signature(BUILDERS[name]).parameters) > 1}

    assert len(set(made)) == 3 * len(several) + len(BUILDERS) - len(several)


@pytest.mark.parametrize(
    ("priority", "step"),
    [(None, 0), (0, 0), (2, 0), (3, 3), (5, 3), (6, 6), (8, 6), (9, 9), (10, 9), (255, 9), (-1, 0)],
)
def test_steps(priority: int | None, step: int) -> None:
    """A priority is rounded down to a step that there is; Celery's may be anything."""
    assert step == keys.step_of(priority)
    assert step in keys.STEPS
