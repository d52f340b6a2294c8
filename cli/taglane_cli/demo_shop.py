"""What the demo knows of the sample application: where it lies, its data, what its jobs must return."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taglane.model.job import Job
    from taglane.model.run import RunInfo

APP = "shop.celery"


class Shop:
    """The sample application in a folder, and a folder that holds the data of its tenants.

    Its functions are called here once more, so what the workers returned is compared with what it should be.
    """

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.data = folder, data
        self._expected: dict[str, Any] = {}
        sys.path.insert(0, str(folder))

    @property
    def jobs_file(self) -> Path:
        """Its jobs, as `taglane apply` reads them."""
        return self.folder / "shop" / "jobs.yaml"

    @property
    def environment(self) -> dict[str, str]:
        """What a worker of it needs."""
        return {"PYTHONPATH": str(self.folder), "SHOP_DATA": str(self.data)}

    def seed(self, tenants: tuple[str, ...]) -> None:
        """Make the tenants' data."""
        import_module("shop.seed").seed(self.data, tenants)

    def wrong_results(self, jobs: Iterable[Job], runs: Iterable[RunInfo]) -> list[str]:
        """Return what is wrong with the results of runs that succeeded, a sentence each."""
        by_name = {(job.tenant, job.name): job for job in jobs}
        inserted: dict[tuple[str, str], int] = {}
        found = []
        for run in runs:
            job = by_name.get((run.tenant, run.job or ""))
            if job is None or run.state != "succeeded":
                continue
            result = run.result if isinstance(run.result, dict) else {}
            expected = self._expect(job)
            if any(result.get(field) != value for field, value in expected.items()):
                found.append(f"{run.tenant}/{run.job} run {run.id} returned {run.result}, not {expected}")
            if "inserted" in result:
                key = (job.tenant, job.name)
                inserted[key] = inserted.get(key, 0) + result["inserted"]
        for (tenant, name), count in inserted.items():
            rows = self._expect(by_name[tenant, name])["rows"]
            if count != rows:
                found.append(f"{tenant}/{name} inserted {count} rows in all its runs, of {rows} that there are")
        return found

    def _expect(self, job: Job) -> dict[str, Any]:
        """Return the fields that each result of a job must have, computed here; memoised."""
        key = json.dumps([job.task, job.params], sort_keys=True)
        if key not in self._expected:
            self._expected[key] = json.loads(json.dumps(self._compute(job)))
        found: dict[str, Any] = self._expected[key]
        return found

    def _compute(self, job: Job) -> Any:
        match job.task:
            case "shop.tasks.report":
                sales = import_module("shop.sales")
                return sales.summarise(sales.read(sales.SHIPPED), **job.params)
            case "shop.tasks.billing":
                return import_module("shop.invoices").bill(**job.params)
            case "shop.tasks.sync":
                items = import_module("shop.items")
                rows = items.read(self.data / job.params["source"])
                return {"rows": len(rows), "checksum": items.checksum(rows)}
            case _:
                return {}


def find_applications(given: Path | None) -> Path:
    """Return the folder that holds the sample application: the one given, or `tests/apps` of the repository.

    Raises:
        click.UsageError: it is not there, as in an installation from a wheel.
    """
    folder = given or Path(__file__).resolve().parents[2] / "tests" / "apps"
    if not (folder / "shop" / "jobs.yaml").is_file():
        raise click.UsageError(
            f"The sample application is not in {folder}: run `make demo` in a clone of the repository, "
            "or say where it is with --app-dir."
        )
    return folder.resolve()
