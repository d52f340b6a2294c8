"""`taglane audit`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import NoPermissionError
from taglane.store.server import Server
from taglane_scheduler.tenancy.denials import Denials

if TYPE_CHECKING:
    from cli.conftest import Cli
    from redis import Redis


def actions(taglane: Cli, *options: str) -> list[str]:
    return [entry["action"] for entry in taglane.ok("audit", *options, "-o", "json").json]


def test_what_the_operator_does_to_a_tenant_is_noted(taglane: Cli, acme: Cli, tmp_path: Path) -> None:
    """Each command that changes something, in order, with what it was about; what a tenant does itself is not."""
    taglane.ok("job", "add", "report", "-t", "acme", "--task", "a.b", "--manual")
    taglane.ok("job", "pause", "report", "-t", "acme")
    taglane.ok("job", "resume", "report", "-t", "acme")
    run = taglane.ok("job", "trigger", "report", "-t", "acme").out.strip()
    taglane.ok("queue", "purge", "acme", "-y")
    taglane.ok("job", "delete", "report", "-t", "acme")
    acme.ok("job", "add", "own", "--task", "a.b", "--manual")
    taglane.ok("tenant", "limit", "acme", "running=4", "rate=10/s")
    for command in ("pause", "drain", "resume"):
        taglane.ok("tenant", command, "acme")
    taglane.ok("tenant", "purge", "acme", "-y")
    taglane.ok("tenant", "export", "acme", "-d", str(tmp_path / "acme"))
    taglane.ok("tenant", "limit", "acme")
    taglane.ok("tenant", "rotate", "acme", "--overlap", "1h")
    taglane.ok("tenant", "delete", "acme", "-y")

    entries = taglane.ok("audit", "--tenant", "acme", "-o", "json").json

    expected = ["create", "job-put", "job-pause", "job-resume", "job-trigger", "purge", "job-delete"]
    expected += ["limit", "pause", "drain", "resume", "purge", "export", "rotate", "delete"]
    assert expected == [entry["action"] for entry in entries]
    assert {"job": "report", "run": run} == entries[4]["details"]
    assert {"tag": "acme", "runs": 1} == entries[5]["details"]
    assert {"changes": "running=4 rate=10/s"} == entries[7]["details"]
    assert {"acme"} == {entry["tenant"] for entry in entries}
    assert all("@" in entry["who"] and entry["address"] for entry in entries)


def test_an_apply_is_one_entry_with_counts(taglane: Cli, acme: Cli, tmp_path: Path) -> None:
    """However many jobs it changes; a dry run changes nothing, and is not noted."""
    assert acme
    path = tmp_path / "jobs.yaml"
    jobs = "".join(f"      j{number}: {{task: a.b, every: 1h}}\n" for number in range(3))
    path.write_text(f"tenants:\n  acme:\n    jobs:\n{jobs}")
    taglane("apply", "-f", str(path), "--dry-run")
    taglane.ok("apply", "-f", str(path))

    (entry,) = [each for each in taglane.ok("audit", "-o", "json").json if each["action"] == "apply"]

    assert {"tenants": 1, "file": str(path), "created": 3} == entry["details"]
    assert "acme" == entry["tenant"]


def test_refusals_are_shown_with_their_count(taglane: Cli, acme: Cli, redis: Redis) -> None:
    """Beside the deeds, and in text as well."""
    redis.acl_log_reset()
    own = Server(acme.url)
    for _ in range(3):
        with pytest.raises(NoPermissionError):
            own.redis.get("taglane:{other}:key:k")
    Denials(Server(taglane.url)).step()

    (entry,) = [each for each in taglane.ok("audit", "-t", "acme", "-o", "json").json if each["action"] == "denied"]

    assert {"reason": "key", "object": "taglane:{other}:key:k", "context": "toplevel", "count": 3} == entry["details"]
    assert "taglane:{other}:key:k" in taglane.ok("audit").out


def test_the_last_so_many_and_not_older_than(taglane: Cli, acme: Cli) -> None:
    """And what is no duration is refused."""
    assert acme
    assert ["create", "create"] == actions(taglane)
    assert ["create"] == actions(taglane, "-n", "1")
    assert ["create", "create"] == actions(taglane, "--since", "1h")
    assert 2 == taglane("audit", "--since", "yesterday").code
    assert "nothing was noted" in taglane.ok("audit", "--tenant", "nobody").err


def test_a_tenant_sees_none_of_it(acme: Cli) -> None:
    """It is told why."""
    answer = acme("audit")

    assert 4 == answer.code
    assert "takes the operator's credential" in answer.error


def test_follow_goes_on_with_what_comes(taglane: Cli) -> None:
    """One JSON object a line, until it is stopped: nothing twice."""
    taglane.ok("tenant", "create", "first")
    command = [str(Path(sys.executable).parent / "taglane"), "audit", "-f", "-o", "json"]
    process = subprocess.Popen(command, env={"TAGLANE_URL": taglane.url}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "first" == json.loads(process.stdout.readline())["tenant"]
        taglane.ok("tenant", "create", "second")
        assert "second" == json.loads(process.stdout.readline())["tenant"]
        process.send_signal(signal.SIGINT)
        assert 130 == process.wait(10)
        assert "" == process.stdout.read()
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
