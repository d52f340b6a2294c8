from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from shop import invoices, items, sales, seed, tasks

JOBS = YAML(typ="safe").load(Path(tasks.__file__).with_name("jobs.yaml"))["tenants"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SHOP_DATA, with every tenant's source in it."""
    monkeypatch.setenv("SHOP_DATA", str(tmp_path))
    seed.seed(tmp_path)
    return tmp_path


def test_the_shipped_sales_are_the_seeds(tmp_path: Path) -> None:
    seed.write_sales(tmp_path / "sales.csv")
    assert (tmp_path / "sales.csv").read_bytes() == sales.SHIPPED.read_bytes()


def test_a_report_adds_up_its_region() -> None:
    result = tasks.report(region="eu")

    eu = [sale for sale in seed.sales() if sale.region == "eu"]
    assert len(eu) == result["rows"] > 50
    assert sum(sale.amount_cents for sale in eu) == result["total_cents"] == sum(result["by_product"].values())
    assert sorted(seed.PRODUCTS) == list(result["by_product"])


def test_the_regions_and_the_days_are_the_whole() -> None:
    """Every sale is in one region's report, and in the report of one of its days."""
    whole = [tasks.report(region=region) for region in seed.REGIONS]
    days = {sale.day for sale in seed.sales()}
    by_day = [tasks.report(region="eu", day=day) for day in sorted(days)]

    assert len(seed.sales()) == sum(one["rows"] for one in whole)
    assert whole[0]["total_cents"] == sum(one["total_cents"] for one in by_day)
    assert 30 == len(days)


def test_a_report_reads_another_file(folder: Path) -> None:
    (folder / "few.csv").write_text("day,region,product,amount_cents\n2026-01-01,eu,anvil,250\n")
    expected = {"region": "eu", "day": None, "rows": 1, "total_cents": 250, "by_product": {"anvil": 250}}
    assert expected == tasks.report(region="eu", source="few.csv")


def test_a_sync_done_twice_is_a_sync_done_once(folder: Path) -> None:
    first = tasks.sync(source="tenant_a/source.db", target="tenant_a/target.db")
    second = tasks.sync(source="tenant_a/source.db", target="tenant_a/target.db")

    assert (100, 0, 0) == (first["inserted"], first["updated"], first["unchanged"])
    assert (0, 0, 100) == (second["inserted"], second["updated"], second["unchanged"])
    copied = items.read(folder / "tenant_a/target.db")
    assert seed.items(100) == copied
    assert first["checksum"] == second["checksum"] == items.checksum(copied)


def test_a_sync_updates_what_changed(folder: Path) -> None:
    tasks.sync(source="tenant_a/source.db", target="target.db")
    seed.write_items(folder / "tenant_a/source.db", seed.items(110, revision=3))

    result = tasks.sync(source="tenant_a/source.db", target="target.db")

    assert (10, 10, 90) == (result["inserted"], result["updated"], result["unchanged"])
    assert seed.items(110, revision=3) == items.read(folder / "target.db")


def test_syncs_at_the_same_time_insert_each_row_once(folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        counts = pool.map(lambda _: tasks.sync(source="tenant_b/source.db", target="target.db"), range(4))
        assert 150 == sum(one["inserted"] for one in counts)
    assert seed.items(150) == items.read(folder / "target.db")


def test_a_sync_of_another_table(folder: Path) -> None:
    seed.write_items(folder / "source.db", seed.items(5), table="archive")

    assert 5 == tasks.sync(source="source.db", target="target.db", table="archive")["inserted"]
    assert seed.items(5) == items.read(folder / "target.db", table="archive")


@pytest.mark.usefixtures("folder")
def test_no_file_outside_the_shops_folder() -> None:
    """Params come from a tenant: they lead neither out of SHOP_DATA nor into the SQL."""
    with pytest.raises(ValueError, match="not in SHOP_DATA"):
        tasks.sync(source="../source.db", target="target.db")
    with pytest.raises(ValueError, match="not in SHOP_DATA"):
        tasks.report(region="eu", source="/etc/passwd")
    with pytest.raises(ValueError, match="no name of a table"):
        tasks.sync(source="tenant_a/source.db", target="target.db", table='items"; DROP TABLE items; --')
    with pytest.raises(FileNotFoundError):
        tasks.sync(source="missing.db", target="target.db")


def test_a_billing_run_in_whole_cents() -> None:
    """999 less 15 % is 849 (149.85 is 150 off), and 19 % of that is 161 (161.31)."""
    result = tasks.billing(plan_cents=999, seats=3, period="2026-01", discount_percent=15)

    assert (3, 3 * 849, 3 * 161, 3 * 1010) == (
        result["invoices"],
        result["net_cents"],
        result["vat_cents"],
        result["total_cents"],
    )
    numbers = [one.number for one in invoices.invoices_of(plan_cents=999, seats=3, period="2026-01")]
    assert ["2026-01-0001", "2026-01-0002", "2026-01-0003"] == numbers


def test_the_checksum_of_a_billing_run_tells_runs_apart() -> None:
    run: dict[str, Any] = {"plan_cents": 4900, "seats": 12, "period": "2026-01"}
    others: list[dict[str, Any]] = [{"plan_cents": 4901}, {"seats": 13}, {"period": "2026-02"}, {"discount_percent": 1}]

    checksums = {tasks.billing(**{**run, **other})["checksum"] for other in [{}, *others]}

    assert 5 == len(checksums)
    assert tasks.billing(**run) == tasks.billing(**run)


@pytest.mark.parametrize("wrong", [{"period": "2026-13"}, {"seats": -1}, {"discount_percent": 101}])
def test_a_billing_run_refuses_nonsense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no month|can't bill"):
        tasks.billing(**{"plan_cents": 1, "seats": 1, "period": "2026-01", **wrong})


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("tenant", "job"), [(tenant, job) for tenant, found in JOBS.items() for job in found["jobs"]])
def test_every_job_of_the_file_runs(tenant: str, job: str) -> None:
    """What jobs.yaml names exists, takes those params, and answers JSON with something in it."""
    definition = JOBS[tenant]["jobs"][job]
    task = getattr(tasks, definition["task"].removeprefix("shop.tasks."))

    result = json.loads(json.dumps(task(**definition["params"])))

    assert definition["task"] == task.name
    assert 0 < result.get("rows", result.get("invoices"))


def test_the_tenants_differ() -> None:
    """Three tenants, three time zones, and no two jobs of one name with the same params."""
    definitions = [(job, str(job["params"])) for tenant in JOBS.values() for job in tenant["jobs"].values()]

    assert 3 == len({tenant["timezone"] for tenant in JOBS.values()})
    assert len(definitions) == len({params for _, params in definitions})
    assert ["report"] == list(JOBS["tenant_c"]["jobs"])
