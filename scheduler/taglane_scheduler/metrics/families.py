"""The metrics of tenants, by name: what each means, and where it stands in what was gathered. Pure.

Names, units and labels are those that Prometheus' conventions ask for; docs/monitoring.md lists them.
"""
# ruff: noqa: PLC0415 - prometheus_client is imported by the first scrape

from __future__ import annotations

from collections.abc import Mapping
from heapq import nlargest
from typing import TYPE_CHECKING

from taglane.errors import BadName, TagNotOwned
from taglane.model.names import SHARED, owner_of, tag_for
from taglane.runtime.worker_metrics import GENERIC, cumulative
from taglane.store.keys import STEPS

from taglane_scheduler.metrics.gathering import OTHER, Figures
from taglane_scheduler.metrics.scale import mean_of, wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric
    from taglane.model.standing import TagStanding, TenantStanding

    from taglane_scheduler.metrics.sums import Counts

EXPONENTS = (2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22)
"""Ends of the buckets of durations, as powers of two of ms: 4 ms to 70 minutes. A ledger has all of them to 2^43."""

MOST_TAGS = 20
"""Tags of one tenant that are named, those with workers and the most to do; what the others have is one, `_other`."""

STATES = ("succeeded", "failed", "cancelled", "expired", "dead", "skipped")

LIMITS = ("queued", "payload", "draining", "running", "rate", "fires")

Places = Mapping[tuple[str, str], "list[TagStanding]"]
"""Tenant and tag, as they are named -> the tags that are meant."""

COUNTERS = {
    "runs_made": ("made", "Runs that were made: fired, triggered, replayed, enqueued."),
    "runs_triggered": ("triggered", "Runs that somebody made of a job by hand."),
    "runs_replayed": ("replayed", "Runs that were made of one that had failed."),
    "runs_retried": ("retried", "Attempts that led to another one."),
    "attempts_lost": ("died", "Attempts that were lost with their worker: their lease ended."),
    "fires": ("fired", "Due instants that were turned into runs."),
    "fires_missed": ("missed", "Due instants that were passed over, since nobody was there in time."),
}
"""Of each counter, behind `taglane_`: what the ledger calls it, and what it means."""

HISTOGRAMS = {
    "run_wait_seconds": ("wait", "sum:wait", "How long runs waited before an attempt of theirs began."),
    "run_duration_seconds": ("ran", "ms", "How long attempts executed."),
    "fire_lateness_seconds": ("late", "sum:late", "How long after its due instant a run was made."),
}
"""Of each histogram: what the ledger calls its buckets and its sum, ms, and what it means."""

TENANT_GAUGES = {
    "workers_stalled": "Workers that were silent for longer than their lease.",
    "dead_letters": "Dead letters that are kept.",
    "jobs": "Jobs that are defined.",
    "jobs_overdue": "Jobs that should have fired more than a minute ago.",
    "schedule_lag_seconds": "For how long the first of the due jobs is due.",
    "tenant_paused": "1 where the tenant is paused.",
    "tenant_draining": "1 where the tenant is draining.",
    "tenant_at_limit": "1 where runs wait because the tenant has as many at once as it may.",
    "tenant_unreadable": "1 where the tenant's keys hold something else than ours.",
}

TAG_GAUGES = {
    "delayed_runs": "Runs that wait for their time, retries among them.",
    "parked_runs": "Runs that wait for the end of the run of their job before them.",
    "leased_runs": "Runs that workers hold.",
    "queue_oldest_seconds": "For how long the run has waited that is to be served next.",
    "workers": "Workers that live and serve the tag.",
    "worker_slots": "Runs that these can execute at once.",
    "scale_wanted_slots": "Slots that would serve what waits within half a minute, and what runs.",
}


def families(figures: Mapping[str, Figures], *, celery: bool = True) -> Iterator[Metric]:
    """Yield what is said of tenants: *figures* by what each goes by, as `Gathering.ask` gives them."""
    yield from _counted(figures)
    yield from _standing(figures)
    places = {tenant: _places(tenant, each) for tenant, each in figures.items()}
    yield from _tags(figures, places)
    if celery:
        yield from _as_celery_exporter(figures, places)


def _counted(figures: Mapping[str, Figures]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    runs = CounterMetricFamily("taglane_runs", "Runs that ended, by how.", labels=["tenant", "state"])
    hits = CounterMetricFamily(
        "taglane_limit_hits",
        "How often a limit was in the way of a call: it was refused, or given fewer runs.",
        labels=["tenant", "limit"],
    )
    for name, each in figures.items():
        for state in STATES:
            runs.add_metric([name, state], each.sums.get(state, 0))
        for limit in LIMITS:
            hits.add_metric([name, limit], each.sums.get(f"hit:{limit}", 0))
    yield from (runs, hits)
    for name, (field, text) in COUNTERS.items():
        counter = CounterMetricFamily(f"taglane_{name}", text, labels=["tenant"])
        for tenant, each in figures.items():
            counter.add_metric([tenant], each.sums.get(field, 0))
        yield counter
    for name, (field, total, text) in HISTOGRAMS.items():
        histogram = HistogramMetricFamily(f"taglane_{name}", text, labels=["tenant"])
        bounds = [2**exponent / 1000 for exponent in EXPONENTS]
        for tenant, each in figures.items():
            buckets = cumulative(_buckets(each.sums, field), bounds)
            histogram.add_metric([tenant], buckets, each.sums.get(total, 0) / 1000)
        yield histogram


def _buckets(sums: Counts, field: str) -> list[int]:
    """Return how many durations there are up to each of the bounds, and beyond the last."""
    counts, low = [], -1
    for high in (*EXPONENTS, 43):
        counts.append(sum(sums.get(f"{field}:{n}", 0) for n in range(low + 1, high + 1)))
        low = high
    return counts


def _standing(figures: Mapping[str, Figures]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    for name, text in TENANT_GAUGES.items():
        gauge = GaugeMetricFamily(f"taglane_{name}", text, labels=["tenant"])
        value = VALUES[name]
        for tenant, each in figures.items():
            values = [value(standing) for standing in each.standings.values()]
            if values or tenant == OTHER:
                gauge.add_metric([tenant], max(values, default=0) if name.endswith("_seconds") else sum(values))
        yield gauge


def _lag(standing: TenantStanding) -> float:
    due = standing.first_due[1] if standing.first_due and not standing.state else standing.at
    return max(0, standing.at - due) / 1000


VALUES: Mapping[str, Callable[[TenantStanding], float]] = {
    "workers_stalled": lambda standing: standing.stalled,
    "dead_letters": lambda standing: standing.dead,
    "jobs": lambda standing: standing.jobs,
    "jobs_overdue": lambda standing: standing.overdue,
    "schedule_lag_seconds": _lag,
    "tenant_paused": lambda standing: standing.state == "paused",
    "tenant_draining": lambda standing: standing.state == "draining",
    "tenant_at_limit": lambda standing: standing.at_limit,
    "tenant_unreadable": lambda standing: not standing.readable,
}
"""What each gauge of a tenant shows."""


def _tags(figures: Mapping[str, Figures], places_of: Mapping[str, Places]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    queued = GaugeMetricFamily(
        "taglane_queue_runs", "Runs that wait to be served.", labels=["tenant", "tag", "priority"]
    )
    gauges = {
        name: GaugeMetricFamily(f"taglane_{name}", text, labels=["tenant", "tag"]) for name, text in TAG_GAUGES.items()
    }
    for tenant, each in figures.items():
        mean = mean_of(each.sums)
        for place, tags in places_of[tenant].items():
            for number, step in enumerate(STEPS):
                queued.add_metric([*place, str(step)], sum(tag.by_step[number] for tag in tags))
            values = {
                "delayed_runs": sum(tag.delayed for tag in tags),
                "parked_runs": sum(tag.parked for tag in tags),
                "leased_runs": sum(tag.running for tag in tags),
                "queue_oldest_seconds": max((tag.oldest or 0 for tag in tags), default=0) / 1000,
                "workers": sum(tag.workers for tag in tags),
                "worker_slots": sum(tag.slots for tag in tags),
                "scale_wanted_slots": sum(wanted(tag.queued, tag.running, mean) for tag in tags),
            }
            for name, value in values.items():
                gauges[name].add_metric(place, value)
    yield from (queued, *gauges.values())


def _places(tenant: str, figures: Figures) -> Places:
    """Return the tags of a tenant, each alone; of all the others together, what is their own is one."""
    found: dict[tuple[str, str], list[TagStanding]] = {}
    for standing in figures.standings.values():
        if not standing.tags:  # as of most of very many
            continue
        named = _named(standing)
        for tag in standing.tags:
            apart = tag.tag in named and (tenant != OTHER or owner_of(tag.tag) == SHARED)
            found.setdefault((tenant, tag.tag if apart else OTHER), []).append(tag)
    return found


def _named(standing: TenantStanding) -> set[str]:
    """Return the tags of a tenant that go by their names: what it writes may be none, and may be many."""
    sound = [tag for tag in standing.tags if _is_sound(standing.tenant, tag.tag)]
    busiest = nlargest(MOST_TAGS, sound, key=lambda tag: (tag.workers, tag.queued + tag.delayed + tag.running, tag.tag))
    return {tag.tag for tag in busiest}


def _is_sound(tenant: str, tag: str) -> bool:
    try:
        return tag_for(tenant, tag) == tag
    except (BadName, TagNotOwned):
        return False


def _as_celery_exporter(figures: Mapping[str, Figures], places_of: Mapping[str, Places]) -> Iterator[Metric]:
    """What celery-exporter says of queues. Who sent which task, nobody here knows: that is a number alone."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    sent = CounterMetricFamily("celery_task_sent", "Runs that were made.", labels=["name", "hostname", "queue_name"])
    sent.add_metric(["", GENERIC, ""], sum(each.sums.get("made", 0) for each in figures.values()))
    lengths = GaugeMetricFamily("celery_queue_length", "Runs that wait to be served.", labels=["queue_name"])
    workers = GaugeMetricFamily("celery_active_worker_count", "Workers that serve the tag.", labels=["queue_name"])
    slots = GaugeMetricFamily("celery_active_process_count", "Runs that they execute at once.", labels=["queue_name"])
    places: dict[str, list[TagStanding]] = {}
    for own in places_of.values():
        for (_, tag), found in own.items():
            places.setdefault(tag, []).extend(found)
    for tag, found in places.items():
        lengths.add_metric([tag], sum(each.queued for each in found))
        workers.add_metric([tag], sum(each.workers for each in found))
        slots.add_metric([tag], sum(each.slots for each in found))
    yield from (sent, lengths, workers, slots)
