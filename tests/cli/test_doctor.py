"""`taglane doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from taglane.store import keys

if TYPE_CHECKING:
    from cli.conftest import Cli
    from redis import Redis


def test_a_server_with_warnings_passes(taglane: Cli, acme: Cli) -> None:  # noqa: ARG001 - its tenants are there
    """One row a check, with these fields; the exit code is 0 as long as nothing fails."""
    answer = taglane.ok("doctor", "-o", "json")

    assert {"check", "status", "seen", "mend"} == {name for row in answer.json for name in row}
    assert {"ok", "warn"} == {row["status"] for row in answer.json}
    assert "taglane scheduler" in {row["mend"] for row in answer.json if row["check"] == "schedulers"}
    assert "" == answer.err


def test_what_fails_is_told_with_what_mends_it(taglane: Cli, acme: Cli, redis: Redis) -> None:
    """And the exit code is 1."""
    acme.ok("enqueue", "a.b")
    redis.execute_command("ACL", "DELUSER", "taglane-other")  # type: ignore[no-untyped-call]

    answer = taglane("doctor")

    assert 1 == answer.code
    (line,) = (number for number, text in enumerate(answer.out.splitlines()) if text.startswith("fail"))
    assert "other" in answer.out.splitlines()[line]
    assert "mend: taglane scheduler" in answer.out.splitlines()[line + 1]
    assert "taglane worker --tag acme" in answer.out


def test_a_tenant_gets_its_part(acme: Cli, redis: Redis) -> None:
    """Without a word of what it may not see, or of what it was refused."""
    redis.zadd(keys.dead("acme"), {"acme.1": 1})

    rows = acme.ok("doctor", "-o", "json").json

    assert {"server", "scope", "library", "clock", "workers", "dead-letters"} == {row["check"] for row in rows}
    assert "NOPERM" not in acme.ok("doctor").out


@pytest.mark.parametrize(("url", "code"), [("redis://127.0.0.1:1/0", 69), ("nonsense", 2)])
def test_no_server(taglane: Cli, url: str, code: int) -> None:
    """There is nothing to check."""
    assert code == taglane("doctor", url=url).code
    assert taglane("doctor", url=url).error
