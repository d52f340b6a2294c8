"""The documentation is run: its Python, its commands with what they print, and every name that it mentions."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click
import pytest
from click.testing import CliRunner
from eventually import eventually
from processes import WorkerProcess
from taglane.settings import Settings, read_settings
from taglane.store.functions import OPERATOR_MOVES, TENANT_MOVES
from taglane.store.pools import Pools
from taglane.store.server import Server
from taglane.store.workers import Workers
from taglane_cli.main import cli
from taglane_scheduler.child_process import ChildProcess
from taglane_scheduler.jobs_file import read_jobs_file
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
README = (ROOT / "README.md").read_text("utf-8")
KEYS = (ROOT / "worker_sdk" / "taglane" / "store" / "keys.py").read_text("utf-8")
BIN = Path(sys.executable).parent

URL = r"redis://(taglane-\w+)?:[^\s@]+@127\.0\.0\.1:\d+/0"
LOGGING = {"debug", "info", "warning", "error", "exception", "log", "_say_once"}

VARIES = (
    (r"http://127\.0\.0\.1:\d+/enter\?token=[\w-]{43}", "http://CONSOLE/enter"),
    (URL, r"redis://\1@SERVER"),
    (r"\b([a-z_]+)\.[0-9a-hjkmnp-tv-z]{26}\b", r"\1.ID"),
    (r"\b\d{4}-\d\d-\d\dT[\d:.]+Z", "INSTANT"),
    (r"\b([\w.]+)@[\w.-]+-\d+-[0-9a-f]{6}\b", r"\1@WORKER"),
    (r"\b(valkey|redis) \d+\.\d+\.\d+\b", "SERVER"),
    (r"[ \t]+", " "),
)
"""What differs from run to run, and what stands for it: everything else must be as it is printed in the page."""


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def settled(text: str) -> str:
    for varying, instead in VARIES:
        text = re.sub(varying, instead, text)
    return text.strip()


class Terminal:
    """Runs a page's commands one after another: those that end with `&`, and servers, beside the others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("TAGLANE_")}
        self._environment["PATH"] = f"{BIN}:{os.environ['PATH']}"
        self._processes: list[ChildProcess] = []
        self._urls: dict[str, str] = {}  # user -> the url that was printed for it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.end(signal.SIGTERM, patience=20)

    def run(self, command: str) -> str:
        """Run one command, and return what it prints; of one beside the others, what it prints until it is ready."""
        command = self.today(command)
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self._environment[name] = value
            return ""
        if command.endswith(" &"):
            self._start(command.removesuffix(" &"))
            server = Server(self._environment["TAGLANE_URL"])
            eventually(lambda: Workers(server).list() or any(pool.workers for pool in Pools(server).list()), 30)
            return ""
        if command == "taglane dev":
            log = self._start(command)
            eventually(lambda: log.read_text().endswith("stops it\n"), 30)
            return self._noted(log.read_text())
        return self._noted(self._call(command))

    def today(self, command: str) -> str:
        """A command of the page, with the urls of this session in the place of the page's."""
        return re.sub(URL, lambda found: self._urls[found[1] or ""], command)

    def _start(self, command: str) -> Path:
        log = self._folder / f"{len(self._processes)}.log"
        alone = "env -u TAGLANE_URL " if command == "taglane dev" else "env "
        line = f"cd {self._folder}; exec {alone}{command}"
        self._processes.append(ChildProcess(["/bin/sh", "-c", line], log=log, environment=self._environment))
        return log

    def _call(self, command: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def _noted(self, output: str) -> str:
        self._urls |= {found[1] or "": found[0] for found in re.finditer(URL, output)}
        return output


def sessions(page: str) -> Iterator[tuple[str, str]]:
    """Each command of a page's consoles, with what it prints."""
    for block in blocks(page, "console"):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, printed = command.partition("\n")
            yield line, printed


def write_tasks(folder: Path) -> None:
    """Write the README's module of tasks, which says its name in its first line."""
    (folder / "tasks.py").write_text(next(block for block in blocks(README, "python") if "# tasks.py" in block))


@pytest.mark.parametrize("page", ["README.md", "docs/tenants.md"])
def test_a_page_prints_what_it_says(tmp_path: Path, page: str) -> None:
    """From the first command to the last, on the server that the first one starts."""
    write_tasks(tmp_path)

    with Terminal(tmp_path) as terminal:
        for command, expected in sessions((ROOT / page).read_text("utf-8")):
            printed = terminal.run(command)
            if " list" in command and settled(expected) != settled(printed):  # what was started may not have ended
                eventually(lambda: settled(expected) == settled(terminal.run(command)), message=printed)  # noqa: B023
                continue
            assert settled(expected) == settled(printed), command


def test_the_readmes_python_runs(tmp_path: Path, url: str) -> None:
    """With the sample application's worker, and printing what the README says."""
    tenant = Tenants(Server(url)).create("tenant_a")
    run, install, _ = blocks(README, "python")

    with WorkerProcess(
        tenant.url, ["tenant_a"], "shop.celery", pool="solo", env={"SHOP_DATA": str(tmp_path)}
    ) as worker:
        worker.wait_ready()
        printed = [
            subprocess.run(
                [sys.executable, "-c", block],
                env={**os.environ, "TAGLANE_URL": url, "PYTHONPATH": str(ROOT / "tests" / "apps")},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for block in (run, install)
        ]

    assert [blocks(README, "text")[0], ""] == printed


def test_the_readmes_jobs_file_can_be_read() -> None:
    (text,) = blocks(README, "yaml")
    assert 3 == len(read_jobs_file(text).jobs)


def test_the_page_of_jobs_files_shows_what_a_diff_prints(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is applied; then its template is changed as the page says."""
    page = (ROOT / "docs" / "jobs-file.md").read_text("utf-8")
    (text,), (printed,) = blocks(page, "yaml"), blocks(page, "diff")
    monkeypatch.chdir(tmp_path)
    file = Path("jobs.yaml")
    file.write_text(text)
    call = partial(CliRunner().invoke, cli, env={"TAGLANE_URL": url})
    for tenant in read_jobs_file(text).tenants:
        assert 0 == call(["tenant", "create", tenant]).exit_code

    assert 0 == call(["apply", "-f", "jobs.yaml"]).exit_code
    assert ("", 0) == ((answer := call(["diff", "-f", "jobs.yaml"])).stdout, answer.exit_code)
    file.write_text(text.replace('"H 3', '"H 5'))

    shown = call(["diff", "-f", "jobs.yaml"]).stdout
    assert printed == shown


def test_the_readme_names_every_setting_and_its_default() -> None:
    rows = dict(re.findall(r"^\| `TAGLANE_(\w+)` \| `([^`]+)` \|", README, re.MULTILINE))
    written = read_settings({}, {f"TAGLANE_{name}": text.strip("-") for name, text in rows.items()})

    assert {each.name.upper() for each in fields(Settings)} == rows.keys()
    assert Settings() == written


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    """In code, and in what is typed: `taglane group command --option`. What was printed names contenders, too."""
    text = re.sub(r"^```text\n.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    code = re.findall(r"`([^`\n]+)`", text) + [line for line in text.splitlines() if line.startswith(("    ", "$ "))]
    named = [found for piece in code for found in re.findall(r"\btaglane((?: +[^\s&|;#]+)+)", piece)]

    for command in named:
        assert not unknown_in(command.split()), f"taglane{command}"


def unknown_in(words: list[str]) -> str:
    """The first word of a command line that is neither a command nor an option of it; empty when all are known."""
    context = click.Context(cli, info_name="taglane")
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return words[0]
        command, words = found, words[1:]
    known = {option for parameter in command.get_params(context) for option in parameter.opts}
    return next((word for word in words if word.startswith("-") and word not in known and word != "-"), "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))
    assert [] == [target for target in targets if "://" not in target and not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)) <= targets


def test_the_picture_is_of_a_demo_that_went_right() -> None:
    picture = (ROOT / "docs" / "picture.svg").read_text("utf-8")
    assert "right" in picture
    assert "wrong" not in picture


def test_the_design_names_every_function_and_every_key() -> None:
    """A move or a key that is made or renamed is made or renamed there too."""
    design = (ROOT / "docs" / "design.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in design.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    suffixes = {re.split(r"[:{]", line)[0] for line in re.findall(r'f"\{prefix\(tenant\)\}([^"]+)"', KEYS)}

    assert {*TENANT_MOVES, *OPERATOR_MOVES} <= named
    assert suffixes <= {name.partition(":")[0] for name in named}


def test_the_operations_page_names_every_log_line() -> None:
    """Each event that is logged has a row, and each row is of an event."""
    page = (ROOT / "docs" / "operations.md").read_text("utf-8").partition("## Log lines")[2]
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    modules = [path for floor in ("worker_sdk", "scheduler", "cli") for path in (ROOT / floor).rglob("*.py")]
    logged = {event for path in modules for event in events_of(path.read_text("utf-8"))}

    assert logged == named


def events_of(source: str) -> Iterator[str]:
    """The events that a module logs: the first words of what it says."""
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        texts = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if name in LOGGING and texts and re.match(r"[a-z]+(_[a-z]+)+( |$)|[a-z]+ \w+=", texts[0]):
            yield re.split(r"\W", texts[0])[0]


def test_the_operations_page_shows_what_doctor_prints(tmp_path: Path) -> None:
    """Of `taglane dev`, figures aside."""
    (expected,) = blocks((ROOT / "docs" / "operations.md").read_text("utf-8"), "console")
    with Terminal(tmp_path) as terminal:
        url = re.search(URL, terminal.run("taglane dev"))
        assert url
        terminal.run(f"export TAGLANE_URL={url[0]}")
        printed = terminal.run("taglane doctor")

    varies = r"\d[\w.:-]*"
    assert re.sub(varies, "N", settled(expected)) == re.sub(varies, "N", settled(f"$ taglane doctor\n{printed}"))


def record(page: str) -> str:
    """A page with what its commands print today: `python tests/test_docs.py` writes it."""
    with tempfile.TemporaryDirectory() as folder, Terminal(Path(folder)) as terminal:
        write_tasks(Path(folder))
        for command, expected in sessions(page):
            printed = terminal.run(command)
            page = page.replace(f"$ {command}\n{expected}", f"$ {terminal.today(command)}\n{printed}")
    return page


if __name__ == "__main__":
    for each in sys.argv[1:] or ["README.md", "docs/tenants.md"]:
        (ROOT / each).write_text(record((ROOT / each).read_text("utf-8")), encoding="utf-8")
