"""`taglane apply` and `taglane diff`."""

from __future__ import annotations

import json
import os
import signal
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from processes import BIN
from taglane.errors import BadJobsFile
from taglane.model.limits import Limits
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.limits import LimitStore
from taglane.store.server import Server
from taglane_cli.apply import _read
from taglane_scheduler.jobs_apply import JobsApply
from taglane_scheduler.jobs_file import LARGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cli.conftest import Cli
    from redis import Redis
    from taglane_scheduler.jobs_file import TenantPart

FILE = """\
tenants:
  acme:
    timezone: Europe/Berlin
    jobs:
      report: {task: shop.tasks.report, cron: "*/5 9-17 * * MON-FRI", params: {region: eu}}
      sync:   {task: shop.tasks.sync, every: 30s, tag: acme.io}
  other:
    jobs:
      clean: {task: shop.tasks.clean, after: 5m}
"""


TEMPLATES = """\
templates:
  report: {task: shop.tasks.report, cron: "H 3 * * *", params: {region: eu}}
defaults:
  templates: [report]
  limits: {running: 10, rate: 10/s}
tenants:
  acme: {jobs: {report: {params: {region: apac}}}}
  other:
"""


def said(*pairs: tuple[str, str]) -> list[dict[str, str | None]]:
    """What apply answers, from (tenant/job, change)."""
    return [
        {"tenant": name.partition("/")[0], "job": name.partition("/")[2], "template": None, "change": change}
        for name, change in pairs
    ]


def names(taglane: Cli) -> list[str]:
    rows = taglane.ok("job", "list", "-o", "json").json
    return [f"{row['tenant']}/{row['job']}" for row in rows]


def test_apply_makes_the_servers_jobs_those_of_the_file(taglane: Cli, acme: Cli) -> None:
    """Created the first time, unchanged the second; the grid of a fixed rate, which the server chose, is no change."""
    del acme
    created = taglane.ok("apply", "-f", "-", "-o", "json", stdin=FILE).json
    again = taglane.ok("apply", "-f", "-", "-o", "json", stdin=FILE).json

    assert said(("acme/report", "created"), ("acme/sync", "created"), ("other/clean", "created")) == created
    assert {"unchanged"} == {row["change"] for row in again}
    assert ["acme/report", "acme/sync", "other/clean"] == names(taglane)


def test_prune_deletes_what_the_file_lacks(taglane: Cli, acme: Cli) -> None:
    """Of the tenants that it names, no others'; without --prune nothing goes."""
    del acme
    taglane.ok("apply", "-f", "-", stdin=FILE)
    lacking = "tenants:\n  acme:\n    jobs:\n      sync: {task: shop.tasks.sync, every: 40s, tag: acme.io}\n"

    kept = taglane.ok("apply", "-f", "-", "-o", "json", stdin=lacking).json
    pruned = taglane.ok("apply", "-f", "-", "--prune", "-o", "json", stdin=lacking).json

    assert said(("acme/sync", "updated")) == kept
    assert said(("acme/sync", "unchanged"), ("acme/report", "pruned")) == pruned
    assert ["acme/sync", "other/clean"] == names(taglane)


def test_a_dry_run_and_a_diff_change_nothing(taglane: Cli, acme: Cli) -> None:
    """diff exits 1 when there is a difference and 0 when there is none."""
    del acme
    planned = taglane.ok("apply", "-f", "-", "--dry-run", stdin=FILE)
    before = taglane("diff", "-f", "-", stdin=FILE)
    assert [] == names(taglane)
    taglane.ok("apply", "-f", "-", stdin=FILE)
    after = taglane("diff", "-f", "-", stdin=FILE)

    assert ["created", "created", "created"] == [line.split()[0] for line in planned.out.splitlines()]
    assert (1, 0, "") == (before.code, after.code, after.out)
    assert "+++ other/clean (-)\n@@ -0,0 +1,2 @@\n+task: shop.tasks.clean\n+after: 5m\n" in before.out


def test_a_diff_shows_the_fields_that_differ(taglane: Cli, acme: Cli) -> None:
    """As text like diff -u, and as JSON."""
    del acme
    taglane.ok("apply", "-f", "-", stdin=FILE)
    changed = FILE.replace("region: eu", "region: us").replace("      sync:", "      # sync:")

    text = taglane("diff", "-f", "-", "--prune", stdin=changed)
    rows = taglane("diff", "-f", "-", "-o", "json", stdin=changed)

    assert '-params: {"region": "eu"}\n+params: {"region": "us"}\n' in text.out
    assert "+++ /dev/null" in text.out
    assert [("report", "updated", {"region": "eu"}, {"region": "us"})] == [
        (row["job"], row["change"], row["before"]["params"], row["after"]["params"]) for row in rows.json
    ]


def test_a_template_reaches_its_tenants(taglane: Cli, acme: Cli) -> None:
    """In one apply, shown before; and so does a change of it, but not to what a tenant says otherwise."""
    before = taglane("diff", "-f", "-", "-o", "json", stdin=TEMPLATES)
    assert ([], 1) == (names(taglane), before.code)
    applied = taglane.ok("apply", "-f", "-", "-o", "json", stdin=TEMPLATES)
    rows = [{field: row[field] for field in ("tenant", "job", "template", "change")} for row in before.json]

    changed = taglane("diff", "-f", "-", stdin=TEMPLATES.replace("H 3", "H 4").replace("region: eu", "region: us"))
    taglane.ok("apply", "-f", "-", stdin=TEMPLATES.replace("H 3", "H 4").replace("region: eu", "region: us"))
    shown = [taglane.ok("job", "show", "report", "-t", each, "-o", "json").json for each in ("acme", "other")]

    assert applied.json == rows
    assert [("acme", None), ("other", None), ("acme", "report"), ("other", "report")] == [
        (row["tenant"], row["template"]) for row in rows
    ]
    assert "+++ acme/report (-, template report)\n" in changed.out
    assert ["apac", "us"] == [row["params"]["region"] for row in shown]
    assert {"cron H 4 * * * (UTC)"} == {row["schedule"] for row in shown}
    assert 2 == len({row["next"] for row in shown})
    del acme


def test_what_changes_alike_for_many_is_shown_once(taglane: Cli, acme: Cli) -> None:
    """With the tenants that it reaches."""
    del acme
    file = TEMPLATES.replace(" {jobs: {report: {params: {region: apac}}}}", "")
    taglane.ok("apply", "-f", "-", stdin=file)

    answer = taglane("diff", "-f", "-", stdin=file.replace("H 3", "H 4"))

    assert (
        """\
--- report of acme, other (server)
+++ report of acme, other (-, template report)
@@ -1,3 +1,3 @@
 task: shop.tasks.report
-cron: H 3 * * *
+cron: H 4 * * *
 params: {"region": "eu"}
"""
        == answer.out
    )


def test_a_tenant_that_opts_out_loses_the_job(taglane: Cli, acme: Cli) -> None:
    """In the same apply, with no --prune: the file says that it has it off."""
    del acme
    taglane.ok("apply", "-f", "-", stdin=TEMPLATES)
    off = TEMPLATES.replace("other:", "other: {jobs: {report: off}}")

    shown = taglane("diff", "-f", "-", stdin=off)
    applied = taglane.ok("apply", "-f", "-", stdin=off)

    assert "--- other/report (server)\n+++ /dev/null\n" in shown.out
    assert "pruned     other/report" == applied.out.splitlines()[-1]
    assert ["acme/report"] == names(taglane)
    assert 0 == taglane("diff", "-f", "-", stdin=off).code


def test_limits_are_those_of_the_file(taglane: Cli, acme: Cli, redis: Redis) -> None:
    """Of a tenant whose limits it names, all; of any other, none is touched."""
    del acme
    taglane.ok("apply", "-f", "-", stdin=TEMPLATES)
    store = LimitStore(Server(taglane.url, redis))
    assert {"acme": Limits(running=10, rate=10), "other": Limits(running=10, rate=10)} == store.get_many(
        ["acme", "other"]
    )
    one = "tenants:\n  acme: {limits: {running: 4, weight: 2}}\n  other:\n"

    shown = taglane("diff", "-f", "-", stdin=one)
    applied = taglane.ok("apply", "-f", "-", stdin=one)

    assert "--- acme limits (server)\n+++ acme limits (-)\n" in shown.out
    assert "-running: 10\n-rate: 10/s\n+running: 4\n+weight: 2\n" in shown.out
    assert "updated    acme limits\n" == applied.out
    assert {"acme": Limits(running=4, weight=2), "other": Limits(running=10, rate=10)} == store.get_many(
        ["acme", "other"]
    )


def test_params_are_held_against_the_limits_of_the_same_file(taglane: Cli, acme: Cli, redis: Redis) -> None:
    """Over what a tenant may send: nothing is written, no limit either. Of a file that allows more, all is."""
    del acme
    long = TEMPLATES.replace("region: eu", f"region: {'x' * 500}")

    refused = taglane("apply", "-f", "-", stdin=long.replace("running: 10", "payload: 400"))
    assert "tenant 'other' may send 400" in refused.error
    assert (0, []) == (redis.exists(keys.limits("acme")) + redis.exists(keys.limits("other")), names(taglane))

    taglane.ok("tenant", "limit", "other", "payload=400")
    assert (
        "tenant 'other' may send 400"
        in taglane("diff", "-f", "-", stdin=long.replace("  limits:", "  # limits:")).error
    )
    taglane.ok("apply", "-f", "-", stdin=long.replace("running: 10", "payload: 4000"))
    taglane.ok("tenant", "limit", "other", "payload=400")
    taglane.ok("apply", "-f", "-", stdin=long.replace("  limits:", "  # limits:"))  # what is there, is there
    assert ["acme/report", "other/report"] == names(taglane)


def test_a_tenant_can_not_raise_its_limits(acme: Cli, taglane: Cli) -> None:
    """With its own credential nothing of such a file is written; one that leaves them as they are is applied."""
    jobs = "tenants:\n  acme:\n    jobs:\n      ask: {task: a.b, manual: true}\n"
    limits = jobs + "    limits: {running: 4}\n"

    refused = acme("apply", "-f", "-", stdin=limits)
    assert (4, []) == (refused.code, names(taglane))
    assert "changing limits takes the operator's credential" in refused.error
    assert 1 == acme("diff", "-f", "-", stdin=limits).code

    taglane.ok("apply", "-f", "-", stdin=limits)
    acme.ok("apply", "-f", "-", stdin=limits.replace(" ask:", " call:"))
    assert ["acme/ask", "acme/call"] == names(taglane)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("params:", "parms:", "<stdin>:2:56: template 'report' has no field 'parms': did you mean 'params'?"),
        ("[report]", "[reprot]", "<stdin>:4:15: no template 'reprot': did you mean 'report'?"),
        ("running: 10", "running: 0", "<stdin>:5:21: limits.running: 0 can't be"),
        ("other:", "other: {limits: {weight: much}}", "<stdin>:8:28: limits.weight: 'much' can't be"),
        ("other:", "other: {jobs: {mail: off}}", "<stdin>:8:18: no template 'mail': there are report"),
    ],
)
def test_a_mistake_in_templates_and_limits(taglane: Cli, acme: Cli, old: str, new: str, told: str) -> None:
    """One line with its place, and nothing is written."""
    del acme
    answer = taglane("apply", "-f", "-", stdin=TEMPLATES.replace(old, new, 1))

    assert (2, []) == (answer.code, names(taglane))
    assert told in answer.error


@pytest.mark.parametrize(
    ("old", "new", "code", "told"),
    [
        ("every: 30s", "evry: 30s", 2, "<stdin>:6:39: job 'sync' has no field 'evry': did you mean 'every'?"),
        ("after: 5m", "cron: 61 * * * *", 2, "<stdin>:9:45: cron field minute: '61'"),
        (
            "after: 5m",
            "at: 2020-01-01T00:00:00Z",
            2,
            "<stdin>:9:7: at: 2020-01-01T00:00:00Z lies in the past: it would never be due (job 'clean' of tenant 'oth",
        ),
        ("  other:", "  nobody:", 3, "no tenant 'nobody'"),
        ("acme.io", "other", 2, "<stdin>:6:56: tag 'other' does not belong to tenant 'acme'"),
        ("clean: {", "clean: [", 2, "<stdin>:9:"),
        ("region: eu", "region: " + "x" * 1_100_000, 2, "the limit is 1048576"),
    ],
)
def test_one_mistake_and_nothing_is_applied(taglane: Cli, acme: Cli, old: str, new: str, code: int, told: str) -> None:
    """Not even the tenants before it."""
    del acme
    for command in ("apply", "diff"):
        answer = taglane(command, "-f", "-", stdin=FILE.replace(old, new))
        if command == "apply" or "limit" not in told:
            assert code == answer.code
            assert told in answer.error

    assert [] == names(taglane)


def test_a_job_of_a_newer_version_is_left_as_it_is(taglane: Cli, acme: Cli, redis: Redis) -> None:
    """A file that names it is refused whole, with its name; one that does not neither changes nor prunes it."""
    taglane.ok("apply", "-f", "-", stdin=FILE)
    key = keys.job("acme", "report")
    redis.hset(key, "definition", json.dumps({**json.loads(redis.hget(key, "definition") or ""), "quota": 5}))
    before = redis.hgetall(key)
    lacking = "tenants:\n  acme:\n    jobs:\n      sync: {task: shop.tasks.sync, every: 40s}\n"

    for command in ("apply", "diff"):
        refused = taglane(command, "-f", "-", stdin=FILE.replace("every: 30s", "every: 50s"))
        assert 5 == refused.code
        assert "a newer Taglane wrote job 'report' of tenant 'acme'" in refused.error
    applied = taglane.ok("apply", "-f", "-", "--prune", "-o", "json", stdin=lacking)

    assert said(("acme/sync", "updated")) == applied.json
    assert "a newer Taglane wrote job 'report' of tenant 'acme'" in applied.err
    assert before == redis.hgetall(key)
    del acme


def test_a_tenant_applies_its_own_and_no_others(acme: Cli, taglane: Cli) -> None:
    """With its own credential, a file that names another tenant is refused before anything is written."""
    refused = acme("apply", "-f", "-", stdin=FILE)
    assert (4, []) == (refused.code, names(taglane))

    acme.ok("apply", "-f", "-", stdin=FILE[: FILE.index("  other:")])

    assert ["acme/report", "acme/sync"] == names(taglane)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_apply_that_is_ended_is_completed_by_the_next(
    number: signal.Signals, taglane: Cli, acme: Cli, redis: Redis, tmp_path: Path
) -> None:
    """Whole jobs are left, and one who can still say so says how to go on."""
    del acme
    path = tmp_path / "jobs.yaml"
    jobs = "".join(f"      j{each}: {{task: a.b, manual: true, params: {{n: {each}}}}}\n" for each in range(8_000))
    path.write_text(f"tenants:\n  acme:\n    jobs:\n{jobs}")
    command = [str(BIN / "taglane"), "apply", "-f", str(path)]
    with Popen(command, env=os.environ | {"TAGLANE_URL": taglane.url}, stderr=PIPE, text=True) as process:
        eventually(lambda: redis.zcard(keys.jobs("acme")), 60, "it writes nothing")
        process.send_signal(number)
        _, told = process.communicate(timeout=60)

    store = Jobs(Server(taglane.url, redis), 1_000)
    written, unread = store.list_all("acme")
    assert (130 if number == signal.SIGINT else -number, []) == (process.returncode, unread)
    assert 0 < len(written) < 8_000
    if number == signal.SIGINT:
        assert " of 8,000 changed jobs are written, each of them whole; the same apply again writes the rest" in told
    taglane.ok("apply", "-f", str(path))
    assert (8_000, 0) == (redis.zcard(keys.jobs("acme")), taglane("diff", "-f", str(path)).code)


def test_a_file_on_disk(taglane: Cli, acme: Cli, tmp_path: Path) -> None:
    """Its path is in the messages; what is no file, or no text, is said so."""
    del acme
    path = tmp_path / "jobs.yaml"
    path.write_text(FILE)
    taglane.ok("apply", "-f", str(path))
    path.write_bytes(b"tenants: \xff\xfe")

    assert f"{path}:1:1: is no UTF-8 text" in taglane("apply", "-f", str(path)).error
    assert 2 == taglane("apply", "-f", str(tmp_path / "none.yaml")).code
    assert 2 == taglane("apply", "-f", str(tmp_path)).code


@pytest.mark.parametrize("more", [0, LARGE])
def test_a_file_that_changes_while_it_is_read_is_refused(more: int, tmp_path: Path) -> None:
    """It is read twice: the templates would be of the one version, the tenants of the other."""
    path = tmp_path / "jobs.yaml"
    path.write_text(FILE + "#" * more)

    class Edited(JobsApply):
        def read(self, parts: Iterable[TenantPart], told: Callable[[], object] = lambda: None) -> None:
            super().read(parts, told)
            path.write_text("tenants: {}")

    server = Server("redis://127.0.0.1:1")  # nobody asks it
    with (
        Edited(Jobs(server, 1_000), LimitStore(server), prune=True) as work,
        pytest.raises(BadJobsFile, match="changed"),
    ):
        _read(work, str(path))
    server.close()
