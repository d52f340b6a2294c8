from __future__ import annotations

from dataclasses import replace

import pytest
from taglane.model.job import Job, make_job
from taglane.model.run import RunInfo
from taglane_cli.demo_report import COLUMNS, percentile, problems, ran, rows, waited, waiting_tags

WORKERS = {"acme@host-1": ("acme",), "other@host-2": ("other",)}


def make_report(tenant: str = "acme") -> Job:
    return make_job(tenant, "report", task="shop.report", every="1s", now=0)


def make_run(due: int = 1_000, tenant: str = "acme", state: str = "succeeded", worker: str | None = None) -> RunInfo:
    return RunInfo(
        id=f"{tenant}.{due}",
        tenant=tenant,
        job="report",
        task="shop.report",
        tag=tenant,
        state=state,
        due=due,
        queued_at=due + 1,
        started_at=due + 5,
        finished_at=due + 7,
        worker=worker or f"{tenant}@host-1",
        attempt=1,
        result=None,
        error=None,
    )


def judged(*runs: RunInfo) -> list[str]:
    return problems([make_report()], runs, WORKERS, staffed={"acme"})


def test_every_fire_ran_once_on_its_own_worker() -> None:
    assert [] == judged(make_run(1_000), make_run(2_000), make_run(3_000))


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (make_run(state="failed"), "is failed"),
        (make_run(state="skipped"), "is skipped"),
        (make_run(state="running"), "is running"),
        (replace(make_run(), attempt=2), "took 2 attempts"),
        (replace(make_run(), deaths=1), "1 workers died"),
        (make_run(worker="other@host-2"), "another tenant's"),
        (replace(make_run(), tag="acme", worker="acme@host-9"), "does not serve"),
        (replace(make_run(), job="unknown"), "no fire of a job"),
        (replace(make_run(), due=None), "no fire of a job"),
    ],
)
def test_what_is_wrong_with_a_run_is_said(run: RunInfo, said: str) -> None:
    assert said in " ".join(judged(run))


def test_an_instant_that_has_two_runs_is_wrong() -> None:
    assert "2 runs for the instant 1000" in " ".join(judged(make_run(), replace(make_run(), id="acme.again")))


def test_an_instant_that_has_no_run_is_wrong() -> None:
    assert "not fired at [2000]" in " ".join(judged(make_run(1_000), make_run(3_000)))


def test_an_instant_beside_the_schedule_is_wrong() -> None:
    assert "not fired at [2000]" in " ".join(judged(make_run(1_000), make_run(1_500)))


def test_nothing_fired_is_wrong() -> None:
    assert ["nothing was fired"] == judged()


def test_a_run_that_nobody_serves_waits() -> None:
    """The one that waits and those skipped behind it are as they should be; one that ran is not."""
    job = make_report("lone")
    waiting = replace(make_run(1_000, "lone", "queued"), worker=None, started_at=None, finished_at=None)
    skipped = replace(waiting, id="lone.2", due=2_000, state="skipped")

    assert [] == problems([job], [waiting, skipped], WORKERS, staffed={"acme"})
    assert {"lone": 1} == waiting_tags([waiting, skipped], staffed={"acme"})
    assert "nobody serves" in problems([job], [make_run(1_000, "lone")], WORKERS, staffed={"acme"})[0]


def test_a_row_counts_and_measures() -> None:
    (row,) = rows([make_report()], [make_run(1_000), make_run(2_000), make_run(3_000, state="failed")])

    assert set(COLUMNS) == row.keys()
    assert ("every 1s", 3, 2, 1, 0, 0) == tuple(row[column] for column in COLUMNS[2:8])
    assert ("acme", 5, 5) == (row["worker_tag"], row["p50_ms"], row["p99_ms"])


def test_a_run_that_has_not_started_has_not_been_measured() -> None:
    run = replace(make_run(), started_at=None)

    assert waited(run) is None
    assert ran(run) is None


@pytest.mark.parametrize(("percent", "expected"), [(50, 2), (99, 4), (0, 1), (100, 4)])
def test_a_percentile_is_one_of_the_values(percent: int, expected: int) -> None:
    assert expected == percentile([4, 1, 3, 2], percent)
    assert percentile([], percent) is None
