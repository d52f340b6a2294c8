"""The root group: exit codes, errors in one line, and a help that imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner
from redis.exceptions import ConnectionError as RedisConnectionError
from taglane import errors
from taglane_cli.main import Root

if TYPE_CHECKING:
    from cli.conftest import Cli

HEAVY = {"celery", "kombu", "redis", "pydantic", "rich", "croniter", "ruamel.yaml", "asyncio"}


@pytest.mark.parametrize("args", [["--help"], ["job", "--help"], ["job", "add", "--help"], ["worker", "--help"]])
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    """Help and completion answer before the time in which celery, redis or pydantic would be imported."""
    code = (
        "import sys\nfrom taglane_cli.main import cli\n"
        f"try: cli.main({args!r})\nexcept SystemExit: print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stderr.strip()
    assert "Usage:" in done.stdout


def test_the_installed_command_is_this_one() -> None:
    """The entry point of the package starts."""
    done = subprocess.run(
        [Path(sys.executable).parent / "taglane", "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("taglane ")


@pytest.mark.parametrize(("typed", "meant"), [(["tenat"], "tenant"), (["job", "resum"], "resume")])
def test_a_slip_is_answered_with_what_was_meant(taglane: Cli, typed: list[str], meant: str) -> None:
    """In the root group and below it."""
    answer = taglane(*typed)

    assert (2, True) == (answer.code, meant in answer.err)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BadName("job", "X"), 2),
        (errors.TagNotOwned("a", "b"), 2),
        (errors.JobNotFound("a", "b"), 3),
        (errors.Refused("x"), 4),
        (errors.TenantExists("a"), 5),
        (errors.ServerUnavailable("gone"), 69),
        (errors.ServerFull(), 69),
        (errors.RunTimeout("a.1", "queued", 5), 75),
        (errors.RunFailed("a.1", "failed", "x"), 1),
        (KeyboardInterrupt(), 130),
        (RedisConnectionError("gone"), 69),
        (ZeroDivisionError("two\nlines"), 1),
    ],
)
def test_each_error_has_its_exit_code_and_one_line(error: BaseException, code: int) -> None:
    """No traceback reaches a user who has not asked for it."""
    answer = CliRunner().invoke(failing(error), env={"TAGLANE_DEBUG": ""})

    assert code == answer.exit_code
    assert "" == answer.stdout
    assert "Traceback" not in answer.stderr
    assert 1 == len(answer.stderr.splitlines())


def test_the_unexpected_says_how_to_see_more() -> None:
    """And with the variable set, shows it."""
    answer = CliRunner().invoke(failing(ZeroDivisionError("x")), env={"TAGLANE_DEBUG": ""})
    assert "error: ZeroDivisionError: x (set TAGLANE_DEBUG=1 for the traceback)\n" == answer.stderr

    answer = CliRunner().invoke(failing(ZeroDivisionError("x")), env={"TAGLANE_DEBUG": "1"})
    assert "Traceback (most recent call last)" in answer.stderr


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("redis://127.0.0.1:1/0", 69, "no server at 127.0.0.1:1"),
        ("http://operator:secret@h", 2, "TAGLANE_URL"),
        ("redis://operator:secret@h:port/0", 2, "TAGLANE_URL"),
        ("", 2, "TAGLANE_URL"),
        ("redis://[::1", 2, "TAGLANE_URL"),
    ],
)
@pytest.mark.parametrize("args", [["tenant", "list"], ["run", "list", "-t", "acme"], ["enqueue", "a.b", "-t", "acme"]])
def test_a_server_that_is_gone_or_no_url(taglane: Cli, args: list[str], url: str, code: int, told: str) -> None:
    """Each command says it in one line, without the password."""
    answer = taglane(*args, url=url)

    assert code == answer.code
    assert told in answer.error
    assert "secret" not in answer.err


def failing(error: BaseException) -> click.Group:
    """A root group that raises."""

    @click.group(cls=Root, invoke_without_command=True)
    def root() -> None:
        raise error

    return root
