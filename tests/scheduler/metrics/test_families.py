"""The metrics themselves; what a server gives them is in test_exposition."""

from __future__ import annotations

from typing import Any

from taglane.model.standing import TagStanding, TenantStanding
from taglane_scheduler.metrics.families import EXPONENTS, MOST_TAGS, families
from taglane_scheduler.metrics.gathering import OTHER, Figures


def samples(figures: dict[str, Figures], *, celery: bool = True) -> dict[tuple[Any, ...], float]:
    """All samples, by name and the values of labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(figures, celery=celery)
        for sample in family.samples
    }


def test_buckets_are_those_of_the_ledger_in_seconds() -> None:
    """Each holds all that is below its end; what a ledger keeps apart may be one."""
    sums = {"wait:0": 1, "wait:2": 1, "wait:5": 2, "wait:30": 1, "wait:43": 1, "sum:wait": 2_500}
    found = samples({"acme": Figures(sums)})

    bucket = "taglane_run_wait_seconds_bucket"
    assert (2, 2 + 0, 4) == tuple(found[bucket, "acme", le] for le in ("0.004", "0.016", "0.064"))
    assert (4, 6) == (found[bucket, "acme", str(2 ** EXPONENTS[-1] / 1000)], found[bucket, "acme", "+Inf"])
    assert 2.5 == found["taglane_run_wait_seconds_sum", "acme"]


def test_of_many_tenants_the_worst_age_and_the_sum_of_all_else() -> None:
    """An age is no sum."""
    one = TenantStanding(
        "a", dead=2, at=61_000, first_due=("report", 1_000), tags=(TagStanding("a", 3, (1, 0, 2, 0), oldest=9_000),)
    )
    two = TenantStanding(
        "b", dead=3, at=61_000, first_due=("report", 71_000), tags=(TagStanding("b", 1, (1, 0, 0, 0), oldest=1_000),)
    )
    found = samples({OTHER: Figures({}, {"a": one, "b": two})})

    assert (5, 60.0) == (found["taglane_dead_letters", OTHER], found["taglane_schedule_lag_seconds", OTHER])
    assert (2, 2) == (found["taglane_queue_runs", OTHER, OTHER, "0"], found["taglane_queue_runs", OTHER, OTHER, "6"])
    assert 9.0 == found["taglane_queue_oldest_seconds", OTHER, OTHER]


def test_a_paused_tenant_is_late_for_nothing() -> None:
    """It fires nothing because somebody said so."""
    found = samples(
        {"a": Figures({}, {"a": TenantStanding("a", state="paused", at=61_000, first_due=("report", 1_000))})}
    )

    assert (0, 1, 0) == (
        found["taglane_schedule_lag_seconds", "a"],
        found["taglane_tenant_paused", "a"],
        found["taglane_tenant_draining", "a"],
    )


def test_celery_exporters_names_can_be_left_out() -> None:
    """Some have another exporter for them."""
    figures = {"a": Figures({"made": 2}, {"a": TenantStanding("a", tags=(TagStanding("a.x", 3, workers=1, slots=4),))})}

    found = samples(figures)

    assert (2, 3, 1, 4) == (
        found["celery_task_sent_total", "", "generic", ""],
        found["celery_queue_length", "a.x"],
        found["celery_active_worker_count", "a.x"],
        found["celery_active_process_count", "a.x"],
    )
    assert not [name for name, *_ in samples(figures, celery=False) if name.startswith("celery")]


def test_tags_that_are_named_are_few_and_are_tags() -> None:
    """A tenant may enqueue for any number of tags, and write what it likes into its keys."""
    tags = [TagStanding(f"a.x{number}", number, (number, 0, 0, 0)) for number in range(MOST_TAGS + 2)]
    tags += [
        TagStanding("a.served", workers=1),
        TagStanding('a"\n', 5, (5, 0, 0, 0)),
        TagStanding("b.x", 5, (5, 0, 0, 0)),
    ]
    found = samples({"a": Figures({}, {"a": TenantStanding("a", tags=tuple(tags))})}, celery=False)

    named = {labels[1] for name, *labels in found if name == "taglane_workers"}
    assert {"a.served", f"a.x{MOST_TAGS + 1}", OTHER} <= named
    assert MOST_TAGS + 1 == len(named)
    assert all(tag == OTHER or (tag.startswith("a.") and tag.isprintable()) for tag in named)
    assert 0 + 1 + 2 + 5 + 5 == found["taglane_queue_runs", "a", OTHER, "0"]
