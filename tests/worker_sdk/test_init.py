from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
import taglane


def run_python(code: str) -> str:
    """What a fresh interpreter prints that executes *code*."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


def test_import_loads_neither_celery_nor_redis() -> None:
    """Importing the package costs nearly nothing: what is large is loaded when it is first used."""
    large = "'celery', 'kombu', 'redis', 'pydantic', 'croniter'"
    code = f"import sys, taglane; print(sorted({{{large}}} & set(sys.modules)))"

    assert "[]" == run_python(code)


def test_looking_at_the_names_loads_nothing() -> None:
    """Completion in a shell asks for the names, and no more."""
    code = "import sys, taglane; dir(taglane); taglane.__all__; print({'celery', 'redis'} & set(sys.modules))"

    assert "set()" == run_python(code)


@pytest.mark.parametrize("name", taglane.__all__)
def test_each_public_name_is_there(name: str) -> None:
    """Each name that the package offers is where it says, and found by `import *` too."""
    value = getattr(taglane, name)

    assert value is getattr(taglane, name)
    home = import_module(f"taglane.{taglane._HOME[name]}")  # noqa: SLF001 - that the table is right is the rule
    assert value is getattr(home, name)


def test_the_table_of_names_is_whole() -> None:
    """No name is promised and not there, or there and not promised."""
    assert sorted(taglane._HOME) == sorted(taglane.__all__)  # noqa: SLF001


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Like in any module; so `hasattr` and `from taglane import x` say what they always do."""
    with pytest.raises(AttributeError, match="module 'taglane' has no attribute 'Tagline'"):
        taglane.Tagline  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Tagline'"):
        exec("from taglane import Tagline")
