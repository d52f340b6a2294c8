"""The text of a scrape: what the library's own encoder writes, whatever was kept of the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from taglane_scheduler.metrics.page_text import PageText

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

labels = st.text(alphabet='ab"\\\n\u2028é {}=#', max_size=4)
values = st.one_of(st.integers(0, 10**9), st.floats(allow_nan=False))
scrapes = st.lists(st.dictionaries(labels, values, max_size=4), min_size=1, max_size=4)


class Gathered(Collector):
    def __init__(self, found: list[Metric]) -> None:
        self.found = found

    def collect(self) -> list[Metric]:
        return self.found


def families(of: dict[str, float]) -> list[Metric]:
    gauge = GaugeMetricFamily("queue_runs", 'Runs that wait, \\ "all" of them.', labels=["tenant"])
    counter = CounterMetricFamily("runs", "Runs that\nended.", labels=["tenant", "state"])
    histogram = HistogramMetricFamily("wait_seconds", "How long.", labels=["tenant"])
    for tenant, value in of.items():
        gauge.add_metric([tenant], value)
        counter.add_metric([tenant, "failed"], value)
        histogram.add_metric([tenant], [("0.5", 1), ("+Inf", 3)], value)
    return [gauge, counter, histogram, GaugeMetricFamily("tenants", "Tenants.", value=len(of))]


FORMATS = (
    "text/plain",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "application/openmetrics-text;version=1.0.0",
)


@pytest.mark.parametrize("accept", FORMATS)
@settings(deadline=None)
@given(figures=scrapes)
def test_it_is_what_the_library_writes(accept: str, figures: list[dict[str, float]]) -> None:
    """Scrape by scrape, as tenants come and go and their figures change."""
    encode, _ = choose_encoder(accept)
    text = PageText(encode)

    for of in figures:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Gathered(families(of)))
        assert encode(registry).decode() == text.write(families(of)).decode()
