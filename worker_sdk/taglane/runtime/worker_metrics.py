"""Writes what a worker's processes have counted as Prometheus reads it: under our names, and those of celery-exporter.

No label says which worker, host or run: Prometheus adds who was scraped.
"""
# ruff: noqa: PLC0415 - a worker whose health is told nowhere needs no HTTP, one that nobody scrapes no prometheus_client

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.runtime.tally import BOUNDS, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from taglane.runtime.health import Health
    from taglane.runtime.pulse import Pulse
    from taglane.settings import Settings

STATES = {"retry": "retrying", "requeue": "requeued"}
"""How the ends of attempts are called as values of `state`, where that is not the run's state."""

CELERY = {
    "succeeded": ("succeeded", "replaced"),
    "rejected": ("requeue",),
    "revoked": ("cancelled",),
    "retried": ("retry",),
}
"""celery-exporter's counters, each with the ends of attempts that Celery calls so."""

GENERIC = "generic"
"""What celery-exporter says in place of a host, where it is told to name none."""


def tell(settings: Settings, pulses: Sequence[Pulse]) -> Health | None:
    """Answer for these processes of one worker where the settings say; None where they say nothing.

    Raises:
        BadSetting: nobody can listen there.
    """
    if not settings.health:
        return None
    from taglane.runtime.health import Metrics, listen

    def render(accept: str) -> tuple[str, bytes]:
        tally = Tally()
        for pulse in pulses:
            if pulse.slate is not None:
                tally.add(pulse.slate.read())
        return exposition(accept, tally, processes=len(pulses), celery=settings.metrics_celery)

    return listen(settings.health, pulses, Metrics(render, settings.metrics_token))


def exposition(accept: str, tally: Tally, *, processes: int = 1, celery: bool = True) -> tuple[str, bytes]:
    """Return the content type and the text of a scrape, in the format that *accept* asks for."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector

    class Counted(Collector):
        def collect(self) -> Iterator[Metric]:
            yield from _of_process(tally, processes)
            yield from _of_tasks(tally)
            if celery:
                yield from _as_celery_exporter(tally)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Counted())
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)


def _of_process(tally: Tally, processes: int) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    gauges = [
        ("processes", "Processes of this worker.", processes),
        ("slots", "Runs that it executes at once, at most.", tally.slots),
        ("busy_slots", "Runs that it executes now.", tally.busy),
        ("held_runs", "Runs that it has leased: those that it executes, and those that it holds ahead.", tally.held),
    ]
    for name, text, value in gauges:
        yield GaugeMetricFamily(f"taglane_worker_{name}", text, value=value)
    counters = [
        ("fetches", "Calls that asked the server for runs.", tally.fetches),
        ("leases_lost", "Leases that the server gave to others, since this worker was silent.", tally.lost),
        ("reconnects", "How often the server was gone, and came back.", tally.reconnects),
    ]
    for name, text, value in counters:
        yield CounterMetricFamily(f"taglane_worker_{name}", text, value=value)


def _of_tasks(tally: Tally) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    labels = ["task", "tag"]
    received = CounterMetricFamily("taglane_worker_runs_received", "Runs that were fetched.", labels=labels)
    begun = CounterMetricFamily("taglane_worker_runs_begun", "Attempts that began.", labels=labels)
    ended = CounterMetricFamily("taglane_worker_runs_ended", "Attempts that ended.", labels=[*labels, "state"])
    took = HistogramMetricFamily("taglane_worker_run_seconds", "How long attempts executed.", labels=labels)
    for place, each in sorted(tally.places.items()):
        received.add_metric(place, each.received)
        begun.add_metric(place, each.begun + each.going)
        for kind, times in sorted(each.ended.items()):
            ended.add_metric([*place, STATES.get(kind, kind)], times)
        took.add_metric(place, cumulative(each.buckets), each.seconds)
    yield from (received, begun, ended, took)


def _as_celery_exporter(tally: Tally) -> Iterator[Metric]:
    """The same as celery-exporter counts it from events; its `task_sent` no worker can know."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    labels = ["name", "hostname", "queue_name"]
    for gauge, text, value in (("up", "It answers.", 1), ("tasks_active", "Runs that it executes now.", tally.busy)):
        family = GaugeMetricFamily(f"celery_worker_{gauge}", text, labels=["hostname"])
        family.add_metric([GENERIC], value)
        yield family
    received = CounterMetricFamily("celery_task_received", "Runs that were fetched.", labels=labels)
    started = CounterMetricFamily("celery_task_started", "Attempts that began.", labels=labels)
    ends = {
        name: CounterMetricFamily(f"celery_task_{name}", f"Attempts that ended so: {', '.join(kinds)}.", labels=labels)
        for name, kinds in CELERY.items()
    }
    failed = CounterMetricFamily("celery_task_failed", "Attempts that failed for good.", labels=[*labels, "exception"])
    runtime = HistogramMetricFamily("celery_task_runtime", "How long attempts executed.", labels=labels)
    for (task, tag), each in sorted(tally.places.items()):
        place = [task, GENERIC, tag]
        received.add_metric(place, each.received)
        started.add_metric(place, each.begun + each.going)
        for name, kinds in CELERY.items():
            ends[name].add_metric(place, sum(each.ended.get(kind, 0) for kind in kinds))
        for kind, times in sorted(each.errors.items()) or [("", 0)]:
            failed.add_metric([*place, kind], times)
        runtime.add_metric(place, cumulative(each.buckets), each.seconds)
    yield from (received, started, *ends.values(), failed, runtime)


def cumulative(counts: Sequence[float], bounds: Sequence[float] = BOUNDS) -> list[tuple[str, float]]:
    """Return the buckets of a histogram as Prometheus has them: each with all that is below its end, s."""
    found: list[tuple[str, float]] = []
    total = 0.0
    for bound, count in zip((*bounds, None), counts, strict=True):
        total += count
        found.append(("+Inf" if bound is None else str(bound), total))
    return found
