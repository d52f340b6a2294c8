"""Calls the command line in this process, on a real server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner
from taglane_cli.main import cli


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line of an error."""
        assert "" == self.out
        assert 1 == len(self.err.splitlines()), self.err
        assert self.err.startswith("error: ")
        return self.err.removeprefix("error: ").rstrip("\n")


@dataclass(frozen=True)
class Cli:
    """Runs `taglane` with a TAGLANE_URL."""

    url: str

    def __call__(self, *args: str, stdin: str | None = None, url: str | None = None, **env: str) -> Answer:
        settings = {"TAGLANE_URL": self.url if url is None else url, "TAGLANE_DEBUG": "", **env}
        result = CliRunner().invoke(cli, args, input=stdin, env=settings, prog_name="taglane")
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return Answer(result.exit_code, result.stdout, result.stderr)

    def ok(self, *args: str, stdin: str | None = None) -> Answer:
        """Run what is expected to succeed."""
        answer = self(*args, stdin=stdin)
        assert 0 == answer.code, answer.err
        return answer

    def of(self, url: str) -> Cli:
        """The same, with another credential."""
        return Cli(url)


@pytest.fixture
def taglane(url: str) -> Cli:
    """The command line with the operator's credential, on an empty server."""
    return Cli(url)


@pytest.fixture
def acme(taglane: Cli) -> Cli:
    """The command line with the credential of a tenant acme, which exists beside other."""
    taglane.ok("tenant", "create", "other")
    return taglane.of(taglane.ok("tenant", "create", "acme", "-o", "json").json["url"])
