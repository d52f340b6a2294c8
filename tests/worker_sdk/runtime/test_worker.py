"""How a worker finds its application and its pool.

Each case has a process of its own: what is imported, and the application that is current, are a process's for good.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

APP = "from celery import Celery\nimport taglane\n{name} = Celery('{title}')\ntaglane.install({name})\n"
PLAIN = "from celery import Celery\n{name} = Celery('{title}')\n"
TASKS = "import taglane\n@taglane.task\ndef report(): return 1\n"

LOAD = """
import json, sys
from taglane.errors import TaglaneError
from taglane.runtime.app import is_installed
from taglane.runtime.worker import choose_pool, load_app
try:
    app = load_app({name!r})
except TaglaneError as error:
    print(json.dumps({{"error": type(error).__name__, "text": str(error)}}))
    sys.exit()
app.finalize()
tasks = sorted(task for task in app.tasks if not task.startswith(("celery.", "taglane.")))
print(json.dumps({{"main": app.main, "tasks": tasks, "installed": is_installed(app), "pool": choose_pool(app)}}))
"""


def load(folder: Path, name: str | None, **files: str) -> dict[str, Any]:
    """What a process says that loads the application *name* in a folder with these files."""
    for path, text in files.items():
        file = folder / f"{path.replace('__', '/')}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAGLANE_")}
    done = subprocess.run(
        [sys.executable, "-c", LOAD.format(name=name)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_module_with_an_application(tmp_path: Path) -> None:
    """Under whatever name it goes there."""
    found = load(tmp_path, "shop", shop=APP.format(name="anything", title="mine"))

    assert {"main": "mine", "tasks": [], "installed": True, "pool": "solo"} == found


def test_an_attribute_of_a_module(tmp_path: Path) -> None:
    """Of several, the one that is named; one that is not on Taglane is put on it."""
    two = PLAIN.format(name="first", title="one") + PLAIN.format(name="second", title="two")
    found = load(tmp_path, "shop:second", shop=two)

    assert ("two", True) == (found["main"], found["installed"])


def test_a_package_with_a_celery_module(tmp_path: Path) -> None:
    """As Celery's own `-A` finds it; and the same by its whole name."""
    files = {"shop____init__": "", "shop__celery": APP.format(name="app", title="packed")}
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")

    found = load(tmp_path, "shop", shop__celery=files["shop__celery"])

    assert ("packed", True) == (found["main"], found["installed"])
    assert found == load(tmp_path, "shop.celery") == load(tmp_path, "shop.celery:app")


def test_a_module_with_only_tasks(tmp_path: Path) -> None:
    """It is given an application of its own, which knows them."""
    found = load(tmp_path, "jobs", jobs=TASKS)

    assert (["jobs.report"], True) == (found["tasks"], found["installed"])


def test_no_name(tmp_path: Path) -> None:
    """An empty application, whose worker knows no task but ours."""
    assert ([], True) == (load(tmp_path, None)["tasks"], load(tmp_path, None)["installed"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing", "no such module: No module named 'missing'"),
        ("shop.missing", "no such module: No module named 'shop.missing'"),
        ("missing.celery:app", "no such module: No module named 'missing'"),
        ("shop:missing", "shop has no missing"),
        ("shop:number", "it is no Celery application but a int: write module:attribute"),
        ("broken", "importing it failed: No module named 'not_there'"),
        ("half", "importing it failed: cannot import name 'nothing' from 'shop'"),
    ],
)
def test_an_application_that_is_not_there(tmp_path: Path, name: str, why: str) -> None:
    """The error tells a wrong name from a module that has a mistake."""
    shop = APP.format(name="app", title="mine") + "number = 5\n"
    found = load(tmp_path, name, shop=shop, broken="import not_there\n", half="from shop import nothing\n")

    assert "BadSetting" == found["error"]
    assert f"-A='{name}': {why}" in found["text"]


@pytest.mark.parametrize(
    ("text", "pool"),
    [
        ("app.conf.task_time_limit = 5", "prefork"),
        ("app.conf.task_soft_time_limit = 5", "prefork"),
        ("@app.task(time_limit=5)\ndef a(): pass", "prefork"),
        ("@app.task(soft_time_limit=5)\ndef a(): pass", "prefork"),
        ("@app.task\ndef a(): pass", "solo"),
    ],
)
def test_the_pool_is_chosen(tmp_path: Path, text: str, pool: str) -> None:
    """Only child processes can enforce a time limit; where there is none, a process a core costs least."""
    assert pool == load(tmp_path, "shop", shop=APP.format(name="app", title="mine") + text + "\n")["pool"]
