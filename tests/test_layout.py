"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from taglane.model.run import ENDED
from taglane.store import keys, pool_keys
from taglane.store.functions import OPERATOR_MOVES, TENANT_MOVES

ROOT = Path(__file__).parents[1]
FLOORS = {
    ROOT / "worker_sdk" / "taglane": ROOT / "tests" / "worker_sdk",
    ROOT / "scheduler" / "taglane_scheduler": ROOT / "tests" / "scheduler",
    ROOT / "cli" / "taglane_cli": ROOT / "tests" / "cli",
}
MODULES = sorted(path for floor in FLOORS for path in floor.rglob("*.py"))
LUA = sorted((ROOT / "worker_sdk" / "taglane" / "store" / "lua").glob("*.lua"))
PRELUDE = next(path for path in LUA if path.name == "prelude.lua")
MOVES = [path for path in LUA if not path.name.startswith("prelude")]
LONGEST = 350  # lines
NEVER = {"utils", "util", "helpers", "common", "base", "manager"}

TESTED_ELSEWHERE = {
    "cli/taglane_cli/demo.py": "tests/e2e/test_demo.py, as the process that it is",
    **{
        f"worker_sdk/taglane/errors/{group}.py": "tests/worker_sdk/test_errors.py: where an error lies is no part of it"
        for group in ("calls", "kinds", "servers", "things")
    },
}
"""Modules without a test file of their own, each with where it is tested."""

PYTHON_ALONE = {"group", "noted"}
"""Keys that no function touches."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_module_has_a_test_file() -> None:
    """Beside the floors the tests lie file for file: a/b.py has a/test_b.py."""
    missing = set()
    for floor, tests in FLOORS.items():
        for module in floor.rglob("*.py"):
            test = tests / module.relative_to(floor).parent / f"test_{module.name}"
            if module.name != "__init__.py" and not test.exists():
                missing.add(name_of(module))

    assert sorted(TESTED_ELSEWHERE) == sorted(missing)


@pytest.mark.parametrize("path", [*MODULES, *LUA], ids=name_of)
def test_a_module_has_one_duty(path: Path) -> None:
    """Past so many lines, or under such a name, it has two."""
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST
    assert path.stem not in NEVER


@pytest.mark.parametrize("path", MOVES, ids=lambda path: path.stem)
def test_a_header_names_its_functions_keys_and_arguments(path: Path) -> None:
    """`-- fire: …. trigger: …`, then KEYS and ARGV, what is written, what is returned."""
    header = re.match(r"(?:--.*\n)+", path.read_text("utf-8"))
    assert header
    comment = header[0]
    introduced = {word for group in re.findall(r"((?:\w+, )*\w+):", comment) for word in group.split(", ")}

    assert registered(path) <= introduced
    whose = "pool" if path.stem == "pool" else "tenant"
    for line in (f"-- KEYS  1 the {whose}'s prefix\n", "-- ARGV  ", "Returns "):
        assert line in comment
    assert "writes " in comment.lower()


@pytest.mark.parametrize("path", MOVES, ids=lambda path: path.stem)
def test_what_makes_or_ends_runs_books_it(path: Path) -> None:
    """A function that comes to what books is registered as booking, or it would raise there; its header says so."""
    source = path.read_text("utf-8")
    books = re.search(
        r"\b(admit|end_run|may_wait|wait_again|stop_run|cancel_parked|add_part|start_join|book\w*)\(", source
    )
    header, _, code = source.partition("\nlocal ")

    assert not books or "booking(" in code
    assert "no-writes" in code or ("booking(" in code) == ("ledger" in header)


def registered(path: Path) -> set[str]:
    """The functions that a file enters into the library, without `taglane_`."""
    return set(re.findall(r"register_function(?:\(|\{function_name = )'taglane_(\w+)'", path.read_text("utf-8")))


def test_what_is_registered_is_what_may_be_called() -> None:
    found = [name for path in LUA for name in registered(path)]
    assert sorted([*TENANT_MOVES, *OPERATOR_MOVES]) == sorted(found)


def test_the_prelude_spells_keys_as_keys_py_does() -> None:
    """The same names, and behind the tenant's prefix the same words between the same places."""
    python = keys_of_python()
    lua = keys_of_lua()

    assert {name: key for name, key in python.items() if name not in PYTHON_ALONE} == lua
    assert python.keys() >= PYTHON_ALONE


def keys_of_python() -> dict[str, str]:
    source = Path(keys.__file__).read_text("utf-8")
    functions = re.split(r"^def ", source, flags=re.MULTILINE)[1:]
    pattern = re.compile(r'(\w+)\(.*return f"\{prefix\(tenant\)\}([^"]+)"', re.DOTALL)
    found = [match.groups() for match in map(pattern.match, functions) if match]
    return {name: re.sub(r"\{\w+\}", "{}", key) for name, key in found}


def keys_of_lua() -> dict[str, str]:
    """Each `local function run_key(P, id) return P .. 'run:' .. id end` as `{"run": "run:{}"}`."""
    found = re.findall(
        r"^local function (\w+)_(?:key|channel)\(P.*?\) return P \.\. (.+) end$",
        PRELUDE.read_text("utf-8"),
        re.MULTILINE,
    )
    parts = {name: expression.split(" .. ") for name, expression in found}
    return {name: "".join(part.strip("'") if "'" in part else "{}" for part in each) for name, each in parts.items()}


def test_the_prelude_knows_the_constants_that_python_knows() -> None:
    source = PRELUDE.read_text("utf-8")
    steps = re.search(r"^local STEPS = \{(.*)\}$", source, re.MULTILINE)
    ended = re.search(r"^local ENDED = \{(.*)\}$", source, re.MULTILINE)
    assert steps
    assert ended

    assert list(keys.STEPS) == [int(step.strip(" '")) for step in steps[1].split(",")]
    assert set(re.findall(r"(\w+) = true", ended[1])) == ENDED
    assert f"local ALONE_AFTER = {keys.ALONE_AFTER} " in source


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_but_keys_spells_a_key(path: Path) -> None:
    """Docstrings may; Celery's `taglane://` is no key."""
    tree = ast.parse(path.read_text("utf-8"))
    comments = {id(statement.value) for node in ast.walk(tree) for statement in bare_texts(node)}
    literals = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in comments
    ]

    spelled = [text for text in literals if re.search(r"taglane:(?!//)", text)]
    assert spelled == [] or path in {Path(keys.__file__), Path(pool_keys.__file__)}


def bare_texts(node: ast.AST) -> list[ast.Expr]:
    """The texts that stand for themselves in a block: docstrings, and those behind an assignment."""
    body = getattr(node, "body", None)
    return [each for each in body if isinstance(each, ast.Expr)] if isinstance(body, list) else []


@pytest.mark.parametrize("path", LUA, ids=lambda path: path.stem)
def test_no_function_spells_a_tenants_prefix(path: Path) -> None:
    """It is KEYS[1]; a key that is built from it is built in the prelude."""
    code = [line.partition("--")[0] for line in path.read_text("utf-8").splitlines()]

    assert not [line for line in code if "taglane:" in line]
    assert path == PRELUDE or not [line for line in code if re.search(r"\bP \.\. ", line)]
