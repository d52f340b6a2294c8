"""Answers a scrape: writes what was gathered, and what stands in the list of alerts, as Prometheus reads it."""
# ruff: noqa: PLC0415 - prometheus_client is imported by the first scrape: a scheduler that nobody scrapes pays nothing

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from taglane.errors import NodeUnavailable, TaglaneError

from taglane_scheduler.metrics.families import families
from taglane_scheduler.metrics.gathering import OTHER, Figures
from taglane_scheduler.metrics.page_text import PageText
from taglane_scheduler.metrics.sums import Growth, add

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Protocol

    from prometheus_client.metrics_core import Metric
    from taglane.store.standings import Standings
    from taglane.store.tallies import Tallies

    from taglane_scheduler.metrics.gathering import Gathering

    class Alert(Protocol):
        """What is known of an alert that stands."""

        @property
        def kind(self) -> str:
            """What it is about."""

        @property
        def tenant(self) -> str:
            """Whom."""

        @property
        def subject(self) -> str:
            """Which of the tenant's things."""


UNSERVED = "no_worker"
"""The kind of the alerts that say that nobody serves a tag."""

ALERTS_S = 5.0
"""For how long the list of alerts is good for the next scrape."""

MOST_TENANTS = 1_000
"""Tenants that are told of themselves alone: of more, those are forgotten that asked the longest ago."""

MOST_FORMATS = 3
"""Formats whose text is kept, to write less of it for the next scrape."""

PLAIN = "text/plain"


class Exposition:
    """What a scrape is told. Safe to use from many threads.

    Args:
        gathering: what is known of all tenants.
        tallies: reads what one tenant's ledgers have counted.
        standings: reads how one stands.
        alerts: gives the alerts that stand.
        holds_fire: whether this scheduler fires nothing, since it believes no clock; None where there is none.
        celery: whether to say what can be said under the names of celery-exporter, too.
        clock: monotonic, s.
    """

    def __init__(  # noqa: PLR0913 - what it writes down
        self,
        gathering: Gathering,
        tallies: Tallies,
        standings: Standings,
        alerts: Callable[[], Iterable[Alert]] = lambda: (),
        *,
        holds_fire: Callable[[], bool] | None = None,
        celery: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gathering = gathering
        self._tallies = tallies
        self._standings = standings
        self._alerts = alerts
        self._holds_fire = holds_fire
        self._celery = celery
        self._clock = clock
        self._lock = threading.Lock()
        self._own: OrderedDict[str, tuple[Growth, Figures]] = OrderedDict()
        self._writes = threading.Lock()
        self._texts: OrderedDict[str, PageText] = OrderedDict()
        self._known_alerts: list[Alert] = []
        self._alerts_at = float("-inf")

    def render(self, tenant: str | None = None) -> bytes:
        """Return all figures in Prometheus' text format; those of one *tenant* alone, read now.

        Raises:
            ServerUnavailable: that tenant could not be read. What is told of all is what was known last.
        """
        return self.page(PLAIN, tenant)[1]

    def page(self, accept: str, tenant: str | None = None) -> tuple[str, bytes]:
        """Return the content type, and the text, in the format that *accept* asks for; see `render`."""
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        if tenant is not None:
            return content_type, PageText(encode).write([*self._of_one(tenant)])
        found = [*self._of_all()]
        with self._writes:
            text = self._texts.pop(content_type, None) or PageText(encode)
            self._texts[content_type] = text
            while len(self._texts) > MOST_FORMATS:
                self._texts.popitem(last=False)
            return content_type, text.write(found)

    def _of_all(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        figures = self._gathering.ask()
        yield from families(figures, celery=self._celery)
        yield from self._of_alerts({name for name in figures if name != OTHER})
        count = sum(len(each.standings) for each in figures.values())
        yield GaugeMetricFamily("taglane_tenants", "Tenants that there are.", value=count)
        if self._holds_fire is not None:
            text = "1 while this scheduler fires nothing, since it believes no clock."
            yield GaugeMetricFamily("taglane_scheduler_holds_fire", text, value=self._holds_fire())
        text = "How long this process has taken to gather these figures."
        yield CounterMetricFamily("taglane_gathering_seconds", text, value=self._gathering.seconds)
        text = "How often the server did not answer when they were gathered."
        yield CounterMetricFamily("taglane_gathering_failures", text, value=self._gathering.failures)

    def _of_one(self, tenant: str) -> Iterator[Metric]:
        with self._lock:
            growth, figures = self._own.setdefault(tenant, (Growth(), Figures()))
            self._own.move_to_end(tenant)
            while len(self._own) > MOST_TENANTS:
                self._own.popitem(last=False)
            read = self._tallies.read({tenant: growth.day})
            if tenant not in read:  # of many, one whose node of a cluster is gone is left out
                raise NodeUnavailable(f"the node of {tenant} gives no answer")
            add(figures.sums, growth.take(read[tenant]))
            figures.standings = {each.tenant: each for each in self._standings.read([tenant])}
            known = Figures(dict(figures.sums), figures.standings)
        yield from families({tenant: known}, celery=self._celery)
        yield from self._of_alerts({tenant}, alone=True)

    def _of_alerts(self, named: set[str], *, alone: bool = False) -> Iterator[Metric]:
        """What is wrong: how much of each kind, and the tags that nobody serves; *alone*, of these tenants only."""
        from prometheus_client.core import GaugeMetricFamily

        by_kind: dict[tuple[str, str], int] = {}
        unserved: dict[tuple[str, str], int] = {}
        for alert in self._standing_alerts():
            if alone and alert.tenant not in named:
                continue
            tenant = alert.tenant if alert.tenant in named or not alert.tenant else OTHER
            by_kind[tenant, alert.kind] = by_kind.get((tenant, alert.kind), 0) + 1
            if alert.kind == UNSERVED:
                place = (tenant, alert.subject if tenant != OTHER else OTHER)
                unserved[place] = unserved.get(place, 0) + 1
        yield _gauge(GaugeMetricFamily, "alerts", "Alerts that stand.", ("tenant", "kind"), by_kind)
        text = "Tags for which runs wait, and that no living worker serves."
        yield _gauge(GaugeMetricFamily, "unserved_tags", text, ("tenant", "tag"), unserved)

    def _standing_alerts(self) -> Sequence[Alert]:
        now = self._clock()
        if now >= self._alerts_at + ALERTS_S:
            try:
                self._known_alerts = list(self._alerts())
                self._alerts_at = now
            except TaglaneError:  # those that were known last
                pass
        return self._known_alerts


def _gauge(kind: Any, name: str, text: str, labels: Sequence[str], values: dict[tuple[str, str], int]) -> Metric:
    family: Metric = kind(f"taglane_{name}", text, labels=labels)
    for place, value in sorted(values.items()):
        family.add_metric(place, value)  # type: ignore[attr-defined]
    return family
