"""Builds the control plane's objects from settings: the only place that does. Each is built when first asked for."""
# ruff: noqa: PLC0415 - lazy imports are its point: a command pays for what it uses

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.settings import Settings
    from taglane.store.jobs import Jobs
    from taglane.store.server import Server
    from taglane.store.standings import Standings

    from taglane_scheduler.access.access import Access
    from taglane_scheduler.alerting.alerting import Alerting
    from taglane_scheduler.care.alerts import Alerts
    from taglane_scheduler.care.doctor import Doctor
    from taglane_scheduler.care.measures import Measures
    from taglane_scheduler.care.rescue import Rescue
    from taglane_scheduler.care.shared_board import SharedBoard
    from taglane_scheduler.care.unserved import Unserved
    from taglane_scheduler.care.watchdog import Watchdog
    from taglane_scheduler.desk.bulk_works import BulkWorks
    from taglane_scheduler.firing.firing import Firing
    from taglane_scheduler.firing.loop import SchedulerLoop
    from taglane_scheduler.firing.shards import LoopParts, Shards
    from taglane_scheduler.metrics.exposition import Exposition
    from taglane_scheduler.metrics.gathering import Gathering
    from taglane_scheduler.metrics.scale import Scale
    from taglane_scheduler.pools.keeper import PoolKeeper
    from taglane_scheduler.pools.serving import Serving
    from taglane_scheduler.stores import Stores
    from taglane_scheduler.tenancy.audit import Audit
    from taglane_scheduler.tenancy.cutoff import CutOff
    from taglane_scheduler.tenancy.denials import Denials
    from taglane_scheduler.tenancy.tenants import Tenants


class Services:
    """What commands, pages and processes call."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def server(self) -> Server:
        """The server under the settings' credential; it connects when first used."""
        from taglane.store.server import Server

        return Server(self.settings.url, replicas=self.settings.replicas)

    @cached_property
    def stores(self) -> Stores:
        """What reads and changes runs, queues, limits."""
        from taglane_scheduler.stores import Stores

        return Stores(self.server, self.settings)

    @cached_property
    def jobs(self) -> Jobs:
        """The job definitions."""
        from taglane.store.jobs import Jobs

        return Jobs(self.server, self.settings.payload_limit)

    @cached_property
    def bulk_works(self) -> BulkWorks:
        """What is being cancelled, or run again, in bulk, by this process."""
        from taglane_scheduler.desk.bulk_works import BulkWorks

        return BulkWorks()

    @cached_property
    def tenants(self) -> Tenants:
        """The tenants and their credentials."""
        from taglane_scheduler.tenancy.tenants import Tenants

        return Tenants(self.server, forget=self.access.forget_tenant)

    @cached_property
    def access(self) -> Access:
        """Who may come in by HTTP: people, API keys, logins."""
        from taglane_scheduler.access.access import Access

        return Access(self.server)

    @cached_property
    def audit(self) -> Audit:
        """Where it is noted who did what to which tenant."""
        return self.tenants.audit

    @cached_property
    def denials(self) -> Denials:
        """What copies the server's refusals into the audit log."""
        from taglane_scheduler.tenancy.denials import Denials

        return Denials(self.server)

    @cached_property
    def firing(self) -> Firing:
        """What turns due instants into runs."""
        from taglane_scheduler.firing.firing import Firing

        return Firing(self.server, pool_serves=self.pool_serves)

    @cached_property
    def pool_serves(self) -> Serving:
        """Whether a shared tag has a worker."""
        from taglane_scheduler.pools.serving import Serving

        return Serving(self.stores.pools)

    @cached_property
    def rescue(self) -> Rescue:
        """What takes over from dead workers."""
        from taglane_scheduler.care.rescue import Rescue

        return Rescue(self.server, self.settings.lease)

    @cached_property
    def unserved(self) -> Unserved:
        """What says that runs wait for a tag that nobody serves."""
        from taglane_scheduler.care.unserved import Unserved

        return Unserved(self.server, self.alerts, pool_serves=self.pool_serves)

    @cached_property
    def alerts(self) -> Alerts:
        """What is wrong now."""
        from taglane_scheduler.care.alerts import Alerts

        return Alerts(self.server)

    @cached_property
    def board(self) -> SharedBoard:
        """How all tenants stand, for all who look at once."""
        from taglane_scheduler.care.board import Board
        from taglane_scheduler.care.shared_board import SharedBoard

        return SharedBoard(Board(self.stores.standings, self.tenants.names))

    @cached_property
    def alerting(self) -> Alerting:
        """The alert rules, where they tell of what, and what was told."""
        from taglane_scheduler.alerting.alerting import Alerting

        return Alerting(self.settings, self.server)

    @cached_property
    def cutoff(self) -> CutOff:
        """What shuts a tenant out, and lets it in again."""
        from taglane_scheduler.tenancy.cutoff import CutOff

        return CutOff(self.server, self.alerts)

    @cached_property
    def measures(self) -> Measures:
        """What was last measured of each tenant."""
        from taglane_scheduler.care.measures import Measures

        return Measures(self.server)

    @cached_property
    def watchdog(self) -> Watchdog:
        """What measures the tenants, and acts by the operator's rule.

        Raises:
            BadSetting: the rule of the settings says nothing.
        """
        from taglane.errors import BadLimit, BadSetting
        from taglane.model.limits import parse_watched

        from taglane_scheduler.care.watchdog import Watchdog

        try:
            default = parse_watched(self.settings.watch)
        except BadLimit as error:
            raise BadSetting("TAGLANE_WATCH", self.settings.watch, str(error)) from error
        return Watchdog(self.server, self.alerts, self.stores.limits, cut=self.cutoff.cut, default=default)

    @cached_property
    def loop(self) -> SchedulerLoop | Shards:
        """The scheduler's loop, over all of these; on a cluster, one for each primary."""
        from taglane_scheduler.firing.loop import SchedulerLoop

        if self.server.clustered:
            return self._shards()
        return SchedulerLoop(
            self.server,
            self.firing,
            self.rescue,
            patience_ms=self.settings.patience,
            prepare=self.prepare,
            sweep=self.tenants.sweep,
            looked=self.unserved.step,
            watch=self.watchdog.step,
        )

    def _shards(self) -> Shards:
        from taglane.store.functions import load

        from taglane_scheduler.care.rescue import Rescue
        from taglane_scheduler.care.unserved import Unserved
        from taglane_scheduler.firing.firing import Firing
        from taglane_scheduler.firing.lookout import Lookout
        from taglane_scheduler.firing.loop import SchedulerLoop
        from taglane_scheduler.firing.shard import node_of
        from taglane_scheduler.firing.shards import Shards
        from taglane_scheduler.tenancy.nodes import load_library, members

        server, serves = self.server, self.pool_serves

        def make_loop(shard: str, connects: Callable[[], None], parts: LoopParts) -> SchedulerLoop:
            def prepare() -> None:
                load(node_of(server, shard))
                connects()

            firing, rescue = Firing(server, pool_serves=serves.known), Rescue(server, self.settings.lease)
            return SchedulerLoop(server, firing, rescue, prepare=prepare, **parts)

        known: list[tuple[str, int]] = []

        def sweep() -> None:
            load_library(server)
            self.tenants.sweep()

        def watch() -> None:
            if known != (found := [*members(server)]):  # before the tenants come that a new one is to have
                known[:] = found
                sweep()
            serves.refresh()
            self.watchdog.step()

        return Shards(
            server,
            Lookout(server),
            make_loop,
            lambda: Unserved(server, self.alerts, pool_serves=serves.known).step,
            patience_ms=self.settings.patience,
            prepare=self.prepare,
            sweep=sweep,
            watch=watch,
        )

    @cached_property
    def standings(self) -> Standings:
        """How tenants stand now."""
        from taglane.store.standings import Standings

        return Standings(self.server, self.settings.lease)

    @cached_property
    def gathering(self) -> Gathering:
        """The figures of all tenants, gathered by a thread that whoever is scraped starts."""
        from taglane.store.tallies import Tallies

        from taglane_scheduler.metrics.gathering import Gathering

        names = self._tenant_names
        return Gathering(Tallies(self.server), self.standings, names, most=self.settings.metrics_tenants)

    @cached_property
    def exposition(self) -> Exposition:
        """What a scrape is told."""
        from taglane.store.tallies import Tallies

        from taglane_scheduler.metrics.exposition import Exposition

        return Exposition(
            self.gathering,
            Tallies(self.server),
            self.standings,
            self.alerts.list,
            holds_fire=(lambda: self.loop.holds_fire) if "loop" in self.__dict__ else None,
            celery=self.settings.metrics_celery,
        )

    @cached_property
    def scale(self) -> Scale:
        """How many slots the workers of a tag should have."""
        from taglane.store.limits import LimitStore
        from taglane.store.pools import Pools
        from taglane.store.tallies import Tallies

        from taglane_scheduler.metrics.scale import Scale

        return Scale(self.server, self.standings, Tallies(self.server), Pools(self.server), LimitStore(self.server))

    def _tenant_names(self) -> list[str]:
        from taglane.store import keys

        with self.server.renamed("listing tenants", operator=True):
            return sorted(name.decode() for name in self.server.redis.hkeys(keys.TENANTS))

    @cached_property
    def pool_keeper(self) -> PoolKeeper:
        """What keeps the shared pools: a thread, with connections of its own."""
        from taglane.store.limits import LimitStore
        from taglane.store.pools import Pools
        from taglane.store.server import Server

        from taglane_scheduler.pools.keeper import PoolKeeper
        from taglane_scheduler.pools.rescue import PoolRescue

        server = Server(self.settings.url)
        pools = Pools(server)
        return PoolKeeper(server, pools, LimitStore(server), PoolRescue(server, pools, self.settings.lease))

    @cached_property
    def doctor(self) -> Doctor:
        """What looks for all that is wrong with a server."""
        from taglane_scheduler.care.doctor import Doctor

        return Doctor(
            self.server,
            self.settings,
            jobs=self.jobs,
            queues=self.stores.queues,
            workers=self.stores.workers,
            users_amiss=self.tenants.users_amiss,
        )

    def prepare(self) -> None:
        """Give a server what it lacks: the function library, and the tenants' users, which it keeps nowhere itself.

        Raises:
            ServerUnavailable: no answer.
            Refused: the credential is not the operator's.
        """
        from taglane.store.functions import load

        with self.server.renamed("loading the function library", operator=True):
            load(self.server.redis)
        self.tenants.apply_all()

    def close(self) -> None:
        """Close the connections, if there are any."""
        if "stores" in self.__dict__:
            self.stores.close()
        if "server" in self.__dict__:
            self.server.close()


def build(settings: Settings) -> Services:
    """Return the services of these settings; nothing connects yet."""
    return Services(settings)
