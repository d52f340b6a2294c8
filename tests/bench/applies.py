"""Times how fast a template reaches its tenants: `taglane apply` of one file, in this process, from the text on."""

from __future__ import annotations

import json
import time
from typing import Any

from click.testing import CliRunner
from taglane.store import keys
from taglane_cli.main import cli
from taglane_scheduler.tenancy.record import Record

FILE = """\
templates:
  report: {{task: bench.tasks.noop, cron: "H {hour} * * *", params: {{region: eu}}}}
defaults:
  templates: [report]
  limits: {{running: 10, rate: 100/s}}
tenants:
"""


def applies(redis: Any, url: str, *, tenants: int) -> tuple[float, float]:
    """Tenants a second of one template: when they all get it, and when a change of it reaches them all."""
    redis.flushdb()
    names = [f"t{number:05}" for number in range(tenants)]
    record = Record(created=1, password_hashes=()).to_json()  # an apply asks for no more of a tenant than its name
    redis.hset(keys.TENANTS, mapping=dict.fromkeys(names, record))
    lines = "".join(f"  {name}: {{}}\n" for name in names)
    first, second = (_seconds(url, FILE.format(hour=hour) + lines) for hour in (3, 4))
    return tenants / first, tenants / second


def _seconds(url: str, text: str) -> float:
    begin = time.perf_counter()
    answer = CliRunner().invoke(
        cli, ["apply", "-f", "-", "-o", "json"], input=text, env={"TAGLANE_URL": url, "TAGLANE_DEBUG": ""}
    )
    took = time.perf_counter() - begin
    changed = {row["change"] for row in json.loads(answer.stdout or "[]") if row["job"]}
    if answer.exit_code or len(changed) != 1 or changed == {"unchanged"}:
        raise RuntimeError(f"apply did not reach all tenants alike: {answer.stderr or changed}")
    return took
