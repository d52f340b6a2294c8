"""`taglane export` and `taglane tenant export`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from factories import HandWorker, enqueue, make_server
from taglane.store import keys

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Cli
    from redis import Redis

FILE = """\
templates:
  nightly: {task: shop.tasks.report, cron: "H 3 * * *", params: {region: eu, note: "a: b #\\n{é}"}, tag: "{tenant}.io"}
tenants:
  acme:
    timezone: Europe/Berlin
    limits: {running: 40, rate: 90/m, weight: 2.5, borrow: 0}
    templates: [nightly]
    jobs:
      sync: {task: shop.tasks.sync, every: 30s, retry: {attempts: 5, delay: 10s, on: [ConnectionError]}, misfire: skip}
      once: {task: shop.tasks.once, at: 2050-11-22T09:00:00, expires: 1h, timeout: 5m, priority: 3}
      ask: {task: shop.tasks.ask, manual: true, overlap: allow}
      clean: {task: shop.tasks.clean, after: 5m, start: 2040-01-01T00:00:00Z, end: 2050-01-01T00:00:00Z}
  other: {templates: [nightly]}
"""


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted(folder.iterdir())}


def test_a_tenant_is_written_and_taken_back(taglane: Cli, acme: Cli, tmp_path: Path, redis: Redis) -> None:
    """Its jobs file makes no difference where it came from, and all of it where the tenant is new."""
    del acme
    taglane.ok("apply", "-f", "-", stdin=FILE)
    said = taglane.ok("tenant", "export", "acme", "-d", str(tmp_path / "out"), "-o", "json").json
    path = str(tmp_path / "out" / "jobs.yaml")

    assert {"tenant": "acme", "folder": str(tmp_path / "out"), "jobs": 5, "runs": 0, "days": 0} == said
    assert ["jobs.yaml", "ledger.json", "runs.jsonl"] == list(files(tmp_path / "out"))
    assert {0o600} == {each.stat().st_mode & 0o777 for each in (tmp_path / "out").iterdir()}
    assert (0, "") == (taglane("diff", "--prune", "-f", path).code, taglane("diff", "--prune", "-f", path).out)

    before = taglane.ok("export", "-t", "acme").out
    redis.flushall()
    taglane.ok("tenant", "create", "acme")
    assert 1 == taglane("diff", "-f", path).code
    taglane.ok("apply", "-f", path)
    assert before == taglane.ok("export", "-t", "acme").out == files(tmp_path / "out")["jobs.yaml"]


def test_the_history_is_written_as_run_show_has_it(
    taglane: Cli, acme: Cli, tmp_path: Path, url: str, redis: Redis
) -> None:
    """Every kept run, a line each, the oldest first; and the ledger by the day."""
    server = make_server(url)
    worker = HandWorker(server).hello()
    taglane.ok("apply", "-f", "-", stdin=FILE)
    runs = [taglane.ok("job", "trigger", "ask", "-t", "acme").out.strip()]
    ((run_id, token),) = worker.fetch()
    server.call("log", "acme", run_id, token, 1, 1, 0, 10, 9_999, "0\tINFO\tlog\tshop\tline")
    worker.finish([(run_id, token)])
    runs += [enqueue(server) for _ in range(2)]
    redis.zadd(keys.runs("acme"), {run_id: number for number, run_id in enumerate(runs)})
    shown = [taglane.ok("run", "show", run_id, "-o", "json").json for run_id in runs]

    acme.ok("tenant", "export", "acme", "-d", str(tmp_path))

    written = files(tmp_path)
    assert "logs.jsonl" not in written
    acme.ok("tenant", "export", "acme", "-d", str(tmp_path), "--force", "--logs")
    (line,) = map(json.loads, files(tmp_path)["logs.jsonl"].splitlines())
    assert {"run": run_id, **json.loads(acme.ok("run", "logs", run_id, "-o", "json").out)} == line
    assert shown == [json.loads(line) for line in written["runs.jsonl"].splitlines()]
    assert ["succeeded", "queued", "queued"] == [run["state"] for run in shown]
    ((day, counts),) = json.loads(written["ledger.json"]).items()
    assert 8 == len(day)
    assert 1 == next(count for what, count in counts.items() if what.startswith("ask|succeeded"))


def test_no_file_is_overwritten_unless_forced(taglane: Cli, acme: Cli, tmp_path: Path) -> None:
    """Nor is one of three written when another is there."""
    del acme
    (tmp_path / "runs.jsonl").write_text("mine")

    refused = taglane("tenant", "export", "acme", "-d", str(tmp_path))
    assert 2 == refused.code
    assert "runs.jsonl is there already" in refused.err
    assert {"runs.jsonl": "mine"} == files(tmp_path)

    taglane.ok("tenant", "export", "acme", "-d", str(tmp_path), "--force")
    assert {"jobs.yaml": "tenants:\n  acme: {}\n", "ledger.json": "{}\n", "runs.jsonl": ""} == files(tmp_path)


def test_what_fails_leaves_no_part_of_a_file(taglane: Cli, acme: Cli, tmp_path: Path, redis: Redis) -> None:
    """The history can't be read: there is no history, nor a beginning of one."""
    del acme
    redis.set(keys.runs("acme"), "x")

    failed = taglane("tenant", "export", "acme", "-d", str(tmp_path))

    assert 69 == failed.code
    assert "listing runs of tenant acme" in failed.error
    assert ["jobs.yaml"] == list(files(tmp_path))


def test_a_folder_that_can_not_be_had(taglane: Cli, acme: Cli, tmp_path: Path) -> None:
    del acme
    (tmp_path / "file").write_text("")

    failed = taglane("tenant", "export", "acme", "-d", str(tmp_path / "file"))

    assert (1, "") == (failed.code, failed.out)
    assert "Could not open file" in failed.err


def test_all_tenants_go_into_folders_of_their_names(taglane: Cli, acme: Cli, tmp_path: Path) -> None:
    """And with none, or both, it is not said which."""
    del acme
    taglane.ok("apply", "-f", "-", stdin=FILE)

    rows = taglane.ok("tenant", "export", "--all", "-d", str(tmp_path), "-o", "json").json

    assert [("acme", 5), ("other", 1)] == [(row["tenant"], row["jobs"]) for row in rows]
    for tenant in ("acme", "other"):
        assert 0 == taglane("diff", "--prune", "-f", str(tmp_path / tenant / "jobs.yaml")).code
    assert 2 == taglane("tenant", "export", "-d", str(tmp_path)).code
    assert 2 == taglane("tenant", "export", "acme", "--all", "-d", str(tmp_path)).code
    assert 3 == taglane("tenant", "export", "nobody", "-d", str(tmp_path)).code


def test_jobs_are_printed_as_a_jobs_file(taglane: Cli, acme: Cli) -> None:
    """Of all tenants that the credential reaches, or of one."""
    taglane.ok("apply", "-f", "-", stdin=FILE)

    everything = taglane.ok("export").out
    own = acme.ok("export").out

    assert 0 == taglane("diff", "--prune", "-f", "-", stdin=everything).code
    assert everything.startswith(own)
    assert taglane.ok("export", "-t", "acme").out == own
    assert 4 == acme("export", "-t", "other").code


@pytest.mark.parametrize("command", [["export"], ["tenant", "export", "acme", "-d", "DIR"]])
def test_what_a_jobs_file_can_not_hold_is_said(
    taglane: Cli, acme: Cli, redis: Redis, tmp_path: Path, command: list[str]
) -> None:
    """On stderr: a pause, with the command that makes it again, a tenant's own, and a job that can't be read."""
    del acme
    taglane.ok("apply", "-f", "-", stdin=FILE)
    taglane.ok("job", "pause", "sync", "-t", "acme")
    taglane.ok("tenant", "pause", "acme")
    redis.hset(keys.job("acme", "ask"), "definition", "{")

    answer = taglane.ok(*(str(tmp_path) if word == "DIR" else word for word in command))

    assert "taglane job pause sync --tenant acme" in answer.err
    assert "the file can't say that tenant acme is paused" in answer.err
    assert "left out: the record of job 'ask' of tenant 'acme' can't be read" in answer.err
