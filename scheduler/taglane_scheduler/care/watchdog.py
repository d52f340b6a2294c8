"""Measures per tenant what no ACL can fence, connections, bandwidth and memory, and acts by the operator's rule.

The rule is four of the tenant's limits. Over one of the first three, an alert is raised, with the figure, the limit and
the command that changes it. Where `overuse` is `cut`, the newest connections above the limit are ended; a tenant that
is still over its bandwidth or memory at the second measuring is cut off: its user is shut, its connections end, and it
stays so until `taglane tenant restore`.

A step is short, since the scheduler fires between two of them: one list of connections every ten seconds, or less often
where that takes long, and the memory of a few tenants each time, the heaviest first, then all in turn.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import suppress
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from taglane.errors import NodeUnavailable, Refused, TenantNotFound
from taglane.model.limits import Limits
from taglane.model.names import SHARED
from taglane.model.size import about, format_size
from taglane.store import keys
from taglane.store.server import USER

from taglane_scheduler.care.footprint import Footprints
from taglane_scheduler.care.measures import Measure, Measures
from taglane_scheduler.care.traffic import Traffic, TrafficMeter
from taglane_scheduler.care.unexplained import Unexplained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from taglane.store.limits import LimitStore
    from taglane.store.server import Server

    from taglane_scheduler.care.alerts import Alert, Alerts

log = logging.getLogger(__name__)

LOOK_S = 10.0
"""How often the connections are listed, at most."""

LOOK_COST = 200
"""A list that took so long is not asked for again before so many times that: half a percent of the server, at most."""

PORTION = 50
"""Tenants whose memory is measured in one step: about 10 ms."""

HEAVIEST = 10
"""Tenants by each of connections, bandwidth and connections' memory that are measured at each look, first of all."""

MOST_ENDED = 500
"""Connections that are ended in one step: for each the server looks through all that it has."""

MOST_NAMED = 3
"""Tenants that one alert names."""

CALM = 0.9
"""An alert ends below this share of the limit, so that it does not come and go."""

KINDS = ("connections", "bandwidth", "memory")


class Watchdog:
    """Measures and judges. For one thread. Several schedulers' watchdogs don't disturb one another.

    Args:
        server: with the operator's credential.
        alerts: where what is over a limit is said.
        limits: the operator's rule.
        cut: shuts a tenant out, with the reason; whether it was not shut out already.
        default: limits of the tenants that have none of their own.
        clock: monotonic, s.
    """

    def __init__(  # noqa: PLR0913 - what it reads, what it acts through, and two values
        self,
        server: Server,
        alerts: Alerts,
        limits: LimitStore,
        *,
        cut: Callable[[str, str], bool],
        default: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._redis: Any = server.redis
        self._alerts = alerts
        self._limits = limits
        self._cut = cut
        self._default = default or Limits()
        self._clock = clock
        self._meter = TrafficMeter(server, clock)
        self._footprints = Footprints(server)
        self._measures = Measures(server)
        self._unexplained = Unexplained(server, alerts)
        self._data: dict[str, int] = {}
        self._traffic: dict[str, Traffic] | None = None
        self._look_at = 0.0
        self._first: deque[str] = deque()
        self._turn: deque[str] = deque()
        self._standing: set[tuple[str, str]] = set()
        self._looks = 0
        self._over: dict[tuple[str, str], int] = {}
        self._unmeasured = False

    def step(self) -> list[Measure]:
        """Measure some tenants, and do what the rule says; return what was measured, nothing between two looks.

        Raises:
            ServerUnavailable: no answer.
            Refused: the credential is not the operator's.
        """
        if self._clock() >= self._look_at:
            self._look()
        tenants = self._server.reachable(self._next())
        if not tenants:
            return []
        measures = self._measure(tenants)
        limits = self._limits.get_many(tenants)
        for measure in measures:
            self._judge(measure, limits[measure.tenant].over(self._default))
        self._measures.put(measures)
        self._data |= {each.tenant: each.data for each in measures if each.data is not None}
        if not self._turn and self._data:
            with suppress(NodeUnavailable):
                self._unexplained.judge(self._data.values(), _busiest(self._traffic or {}))
        return measures

    def _look(self) -> None:
        """List the tenants and the connections, and decide who is measured first."""
        began = self._clock()
        self._looks += 1
        alerts = self._alerts.list()  # before the tenants: one that is made meanwhile is not gone
        with self._server.renamed("reading the tenants", operator=True):
            tenants = {name.decode() for name in self._redis.hkeys(keys.TENANTS)}
        self._traffic = self._connections(tenants)
        self._forget_others(tenants, alerts)
        self._first = deque(_heaviest(self._traffic or {}))
        self._turn = deque([tenant for tenant in self._turn if tenant in tenants] or sorted(tenants))
        self._look_at = began + max(LOOK_S, LOOK_COST * (self._clock() - began))

    def _connections(self, tenants: set[str]) -> dict[str, Traffic] | None:
        try:
            found = self._meter.read()
        except Refused as error:
            if not self._unmeasured:
                log.warning("connections_not_measured error=%s", error)
            self._unmeasured = True
            return None
        return {tenant: traffic for tenant, traffic in found.items() if tenant in tenants}

    def _forget_others(self, tenants: set[str], alerts: Sequence[Alert]) -> None:
        """Drop what is known of tenants that are gone, alerts of any kind among it, and learn which alerts stand."""
        if not self._turn:  # once a round: with very many tenants, that list is long, too
            self._measures.forget_others(tenants)
        self._standing = set()
        for alert in alerts:
            if alert.tenant in tenants:
                self._standing.add((alert.kind, alert.tenant))
            elif alert.tenant and alert.tenant != SHARED:
                self._alerts.end(alert.kind, alert.tenant, alert.subject)
        self._data = {tenant: data for tenant, data in self._data.items() if tenant in tenants}
        self._over = {over: look for over, look in self._over.items() if over[1] in tenants}

    def _next(self) -> list[str]:
        tenants: dict[str, None] = {}
        while len(tenants) < PORTION and (self._first or self._turn):
            tenants[(self._first or self._turn).popleft()] = None
        return list(tenants)

    def _measure(self, tenants: Sequence[str]) -> list[Measure]:
        data = self._footprints.measure(tenants)
        seconds, micros = self._redis.time()
        measures = []
        for tenant in tenants:
            traffic = None if self._traffic is None else self._traffic.get(tenant, Traffic(bandwidth=0.0))
            measures.append(
                Measure(
                    tenant=tenant,
                    connections=None if traffic is None else len(traffic.ids),
                    bandwidth=None if traffic is None else traffic.bandwidth,
                    data=data[tenant],
                    buffers=None if traffic is None else traffic.memory,
                    at=int(seconds) * 1000 + int(micros) // 1000,
                )
            )
        return measures

    def _judge(self, measure: Measure, limits: Limits) -> None:
        cuts = limits.overuse == "cut"
        for kind, value, limit in _figures(measure, limits):
            known = (kind, measure.tenant)
            if value is None:
                continue
            if limit is None or value <= limit:
                self._over.pop(known, None)
                if known in self._standing and (limit is None or value < CALM * limit):
                    self._alerts.end(kind, measure.tenant, "")
                    self._standing.discard(known)
                continue
            since = self._over.setdefault(known, self._looks)
            text = _text(kind, value, limit)
            if cuts and kind == "connections":
                text += f", of which the newest were ended: {self._end_newest(measure.tenant, int(limit))}"
            self._alerts.raise_alert(kind, measure.tenant, "", f"{text}{_mends(measure.tenant, kind)}")
            self._standing.add(known)
            if cuts and kind != "connections" and self._looks > since:
                self._shut_out(measure.tenant, text)

    def _end_newest(self, tenant: str, limit: int) -> int:
        """End a tenant's connections above its limit; by number and user, so none of another's."""
        traffic = (self._traffic or {}).get(tenant, Traffic())
        traffic.ids.sort(key=lambda each: each[0])
        newest = traffic.ids[limit:][-MOST_ENDED:]
        traffic.ids = traffic.ids[: -len(newest)]
        ended = 0
        with self._server.renamed("ending connections", operator=True):
            for node, numbers in _by_node(newest).items():
                pipeline = node.pipeline(transaction=False)
                for number in numbers:
                    pipeline.execute_command("CLIENT", "KILL", "ID", number, "USER", USER + tenant, "SKIPME", "yes")
                ended += sum(answer for answer in pipeline.execute(raise_on_error=False) if isinstance(answer, int))
        log.warning("connections_ended tenant=%s count=%d limit=%d", tenant, ended, limit)
        return ended

    def _shut_out(self, tenant: str, reason: str) -> None:
        try:
            self._cut(tenant, reason)
        except TenantNotFound:
            log.info("tenant_gone_before_cut tenant=%s", tenant)


def _by_node(connections: Sequence[tuple[int, Any]]) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = {}
    for number, node in connections:
        found.setdefault(node, []).append(number)
    return found


def _figures(measure: Measure, limits: Limits) -> Iterator[tuple[str, float | None, float | None]]:
    yield "connections", measure.connections, limits.connections
    yield "bandwidth", measure.bandwidth, limits.bandwidth
    yield "memory", measure.memory, limits.memory


def _text(kind: str, value: float, limit: float) -> str:
    match kind:
        case "connections":
            return f"{value:.0f} connections, and the limit is {limit:.0f}"
        case "bandwidth":
            return f"{about(value)} a second, and the limit is {format_size(int(limit))} a second"
        case _:
            return f"about {about(value)} of memory, and the limit is {format_size(int(limit))}"


def _mends(tenant: str, kind: str) -> str:
    return f":  taglane tenant limit {tenant} {kind}=N  or  taglane tenant cut {tenant}"


def _busiest(traffic: Mapping[str, Traffic]) -> list[str]:
    """Return the few tenants with most bandwidth."""
    moving = {tenant: each.bandwidth for tenant, each in traffic.items() if each.bandwidth}
    return nlargest(MOST_NAMED, moving, key=moving.__getitem__)


def _heaviest(traffic: Mapping[str, Traffic]) -> list[str]:
    """Return the tenants that are first by one of the figures."""
    found: dict[str, None] = {}
    for figures in (
        {tenant: len(each.ids) for tenant, each in traffic.items()},
        {tenant: each.bandwidth or 0.0 for tenant, each in traffic.items()},
        {tenant: each.memory for tenant, each in traffic.items()},
    ):
        found |= dict.fromkeys(nlargest(HEAVIEST, figures, key=figures.__getitem__))
    return list(found)
