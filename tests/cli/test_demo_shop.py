from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from shop import invoices, items
from taglane.model.job import Job, make_job
from taglane.model.run import RunInfo
from taglane_cli.demo_shop import Shop, find_applications

APPS = Path(__file__).parents[1] / "apps"
PLAN = {"plan_cents": 100, "seats": 2, "period": "2026-01"}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.syspath_prepend(str(APPS))  # so that what Shop adds to sys.path goes again
    made = Shop(APPS, tmp_path)
    made.seed(("acme",))
    return made


def make_run(result: dict[str, Any], job: str = "billing") -> RunInfo:
    return RunInfo(
        id="acme.1",
        tenant="acme",
        job=job,
        task="x",
        tag="acme",
        state="succeeded",
        due=1_000,
        queued_at=1_000,
        started_at=1_000,
        finished_at=1_000,
        worker="acme@host",
        attempt=1,
        result=result,
        error=None,
    )


def make_billing() -> Job:
    return make_job("acme", "billing", task="shop.tasks.billing", params=PLAN, manual=True)


def make_sync() -> Job:
    params = {"source": "acme/source.db", "target": "acme/target.db"}
    return make_job("acme", "sync", task="shop.tasks.sync", params=params, manual=True)


def test_a_result_is_compared_with_what_the_application_returns_here(shop: Shop) -> None:
    good = make_run(dict(invoices.bill(plan_cents=100, seats=2, period="2026-01")))
    bad = make_run({**good.result, "total_cents": 0})

    assert [] == shop.wrong_results([make_billing()], [good])
    assert "acme/billing run acme.1 returned" in shop.wrong_results([make_billing()], [bad])[0]
    assert [] == shop.wrong_results([make_billing()], [replace(bad, state="failed")])


def test_all_syncs_together_insert_each_row_once(shop: Shop) -> None:
    source, target = (shop.data / "acme" / name for name in ("source.db", "target.db"))
    first, second = (make_run(dict(items.copy(source, target)), job="sync") for _ in range(2))

    assert [] == shop.wrong_results([make_sync()], [first, second])
    assert "inserted 200 rows" in shop.wrong_results([make_sync()], [first, first])[0]


def test_the_sample_application_is_the_repositorys() -> None:
    assert APPS == find_applications(None)


def test_a_folder_without_it_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="--app-dir"):
        find_applications(tmp_path)
