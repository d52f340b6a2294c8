"""What docs/monitoring holds, against a real Prometheus that scrapes a running stack."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from eventually import eventually
from processes import SchedulerProcess, WorkerProcess
from ruamel.yaml import YAML
from taglane import Taglane
from taglane.store import functions, keys
from taglane_scheduler.child_process import ChildProcess
from taglane_scheduler.embedded import free_port
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
TOKEN = "for-the-scraper-alone"

OF_CELERY_EXPORTER = [
    "sum by (name) (rate(celery_task_received_total{queue_name!~'None'}[1m]))",
    "sum by (job, name) (round(increase(celery_task_succeeded_total{queue_name=~'acme', name!~'None'}[1m])))",
    "sum by (name, exception) (increase(celery_task_failed_total{name='traced.broken', exception='ValueError'}[1m]))",
    "sum(increase(celery_task_retried_total{name='traced.again'}[1m]))",
    "sum(increase(celery_task_rejected_total[1m])) + sum(increase(celery_task_revoked_total[1m]))",
    "sum(increase(celery_task_sent_total{queue_name!~'None'}[1m]))",
    "histogram_quantile(0.95, sum by (name, job, le) (irate(celery_task_runtime_bucket{queue_name=~'acme'}[1m])))",
    "sum(rate(celery_task_runtime_sum[1m])) / sum(rate(celery_task_runtime_count[1m]))",
    "count(celery_worker_up{queue_name!~'None'} == 1)",
    "sum(celery_worker_tasks_active)",
    "sum by (job, queue_name) (celery_queue_length{queue_name=~'acme.gpu'})",
    "celery_active_worker_count{queue_name='acme'} * celery_active_process_count{queue_name='acme'}",
]
"""Queries as its dashboards make them."""

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="no Prometheus here: apt-get install prometheus",
)


class Prometheus:
    """A real one, with the configuration of docs/monitoring, its targets and its patience changed."""

    def __init__(self, folder: Path, scheduler: int, worker: int) -> None:
        self._folder = folder
        self._port = free_port()
        self._write(scheduler, worker)

    def _write(self, scheduler: int, worker: int) -> None:
        yaml = YAML(typ="safe")
        config = yaml.load(MONITORING / "prometheus.yml")
        config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
        for job, port in zip(config["scrape_configs"], (scheduler, worker), strict=True):
            job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
        yaml.dump(config, self._folder / "prometheus.yml")
        rules = (MONITORING / "rules.yml").read_text("utf-8")
        (self._folder / "rules.yml").write_text(re.sub(r"for: \w+", "for: 0s", rules))
        (self._folder / "taglane-token").write_text(TOKEN)

    def __enter__(self) -> Self:
        checked = ["promtool", "check", "config", str(self._folder / "prometheus.yml")]
        subprocess.run(checked, check=True, capture_output=True, timeout=30)
        command = [
            shutil.which("prometheus") or "",
            f"--config.file={self._folder / 'prometheus.yml'}",
            "--log.level=warn",
        ]
        command += [f"--storage.tsdb.path={self._folder / 'data'}", f"--web.listen-address=127.0.0.1:{self._port}"]
        self._process = ChildProcess(command, log=self._folder / "log", environment={})
        return self

    def __exit__(self, *_: object) -> None:
        self._process.end()

    def get(self, path: str, **params: str) -> Any:
        """What its API answers."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(params)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.loads(answer.read())
        assert "success" == found["status"]
        return found["data"]

    def is_up(self) -> bool:
        """Whether both targets were scraped."""
        try:
            return len(self.series("up == 1")) == 2
        except OSError:
            return False

    def series(self, query: str) -> list[Any]:
        """The series that a query has now."""
        return list(self.get("query", query=query)["result"])


@pytest.fixture
def prometheus(url: str, redis: Redis, tmp_path: Path) -> Iterator[Prometheus]:
    """One that scrapes a scheduler and a worker, which have work."""
    functions.load(redis)
    operator = Taglane(url)
    acme = Taglane(Tenants(operator.server).create("acme").url)
    waits = acme.enqueue("traced.leaf", tag="acme.gpu").id
    redis.hset(keys.run("acme", waits), "queued_at", 1)  # it waits for long enough
    operator.put_job("often", tenant="acme", task="traced.leaf", every="1s")
    ports = free_port(), free_port()
    environment = {"TAGLANE_METRICS_TOKEN": TOKEN, "TAGLANE_LEASE": "2s"}
    scheduler = SchedulerProcess(url, environment, ["--health", f"127.0.0.1:{ports[0]}"])
    of_worker = environment | {"TAGLANE_HEALTH": f"127.0.0.1:{ports[1]}"}
    worker = WorkerProcess(acme.settings.url, ["acme"], "traced", "solo", 1, of_worker)
    with worker, scheduler, Prometheus(tmp_path, *ports) as running:
        eventually(running.is_up, 30)
        for task in ("parent", "again", "broken"):
            acme.enqueue(f"traced.{task}")
        yield running
    acme.close()
    operator.close()


def test_every_query_has_series_and_who_waits_in_vain_is_told(prometheus: Prometheus) -> None:
    """The dashboard's, celery-exporter's, those of the rules; and the alert for a tag that nobody serves fires."""
    dashboard = json.loads((MONITORING / "grafana.json").read_text("utf-8"))
    queries = [
        target["expr"].replace("$tenant", ".*").replace("$__rate_interval", "1m")
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]
    assert len(queries) > 40
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    asked = [re.sub(r"\s*(>|==) [\d.]+", "", rule["query"]) for rule in rules]

    def without() -> list[str]:
        return [query for query in (*queries, *OF_CELERY_EXPORTER, *asked) if not prometheus.series(query)]

    eventually(lambda: not without() or None, 20, "no series")
    assert [] == without()

    def firing() -> set[tuple[str, str]]:
        alerts = prometheus.get("alerts")["alerts"]
        return {(each["labels"]["alertname"], each["labels"].get("tag", "")) for each in alerts}

    eventually(lambda: ("TaglaneTagUnserved", "acme.gpu") in firing(), 20)
    assert [] == [rule["name"] for rule in prometheus.get("rules")["groups"][0]["rules"] if rule["health"] != "ok"]
    assert not {name for name, _ in firing()} & {"TaglaneNoScheduler", "TaglaneSchedulerHoldsFire", "TaglaneWorkerDown"}


def test_rules_are_as_prometheus_wants_them() -> None:
    """Also those lines that no test evaluates: labels, annotations."""
    checked = subprocess.run(["promtool", "check", "rules", str(MONITORING / "rules.yml")], check=False, timeout=30)

    assert 0 == checked.returncode
