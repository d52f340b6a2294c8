"""What the commands call: the services behind one TAGLANE_URL, each built when it is first used."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taglane.client import Taglane
    from taglane.store.bulk import Bulk
    from taglane.store.dead_letters import DeadLetters
    from taglane.store.history import History
    from taglane.store.jobs import Jobs
    from taglane.store.limits import LimitStore
    from taglane.store.logs import Logs
    from taglane.store.pools import Pools
    from taglane.store.queues import Queues
    from taglane.store.runs import Runs
    from taglane.store.search import RunSearch
    from taglane.store.usage import Usage
    from taglane.store.workers import Workers
    from taglane_scheduler.access.access import Access
    from taglane_scheduler.services import Services
    from taglane_scheduler.tenancy.tenants import Tenants


class Connection:
    """The server that TAGLANE_URL names, under the credential that it holds. Nothing is imported or opened before."""

    @cached_property
    def services(self) -> Services:
        """The control plane's objects."""
        from taglane.settings import load_settings  # noqa: PLC0415
        from taglane_scheduler.services import build  # noqa: PLC0415

        return build(load_settings())

    @property
    def client(self) -> Taglane:
        """Enqueues."""
        return self.services.stores.client

    @property
    def workers(self) -> Workers:
        """Lists workers."""
        return self.services.stores.workers

    @property
    def runs(self) -> Runs:
        """Finds runs, waits for them, cancels them."""
        return self.services.stores.runs

    @property
    def search(self) -> RunSearch:
        """Finds the runs that a query takes."""
        return self.services.stores.run_search

    @property
    def bulk(self) -> Bulk:
        """Cancels, or runs again, all that a query takes."""
        return self.services.stores.bulk

    @property
    def dead_letters(self) -> DeadLetters:
        """Lists, replays and drops what was given up."""
        return self.services.stores.dead_letters

    @property
    def history(self) -> History:
        """Reads all that is kept of a tenant's past."""
        return self.services.stores.history

    @property
    def logs(self) -> Logs:
        """Reads what runs have logged."""
        return self.services.stores.logs

    @property
    def queues(self) -> Queues:
        """Says what waits for each tag, and empties queues."""
        return self.services.stores.queues

    @property
    def usage(self) -> Usage:
        """Says what was used on which day."""
        return self.services.stores.usage

    @property
    def limits(self) -> LimitStore:
        """The tenants' limits, and whether they are paused or drain."""
        return self.services.stores.limits

    @property
    def pools(self) -> Pools:
        """The shared pools; takes the operator's credential."""
        return self.services.stores.pools

    @property
    def tenants(self) -> Tenants:
        """Makes and lists tenants; takes the operator's credential."""
        return self.services.tenants

    @property
    def access(self) -> Access:
        """Who may come in by HTTP; takes the operator's credential."""
        return self.services.access

    @property
    def jobs(self) -> Jobs:
        """Keeps job definitions."""
        return self.services.jobs

    @property
    def own_tenant(self) -> str | None:
        """The tenant whose credential TAGLANE_URL holds; None for the operator's."""
        return self.services.server.tenant

    def tenant(self, given: str | None) -> str:
        """Return the tenant that a command is about, which must exist: the one given, or the credential's own."""
        tenant = given or self.own_tenant
        if tenant is None:
            raise click.UsageError("Missing option '--tenant' (only a tenant's own TAGLANE_URL says which).")
        self.check_tenants([tenant])
        return tenant

    def tenants_in_reach(self, given: str | None) -> list[str]:
        """Return the tenants that a list is about: the one given, or all that the credential reaches."""
        if given or self.own_tenant:
            return [self.tenant(given)]
        return self.tenants.names()

    def check_tenants(self, tenants: Iterable[str]) -> None:
        """Raise when one of them is no tenant; where the credential may not know that, it is left to the server."""
        from taglane.model.names import check_tenant  # noqa: PLC0415

        named = [check_tenant(tenant) for tenant in tenants]
        self.tenants.require(named)

    def note(self, action: str, tenant: str, **details: str | int) -> None:
        """Enter into the audit log what the operator has just done; what a tenant does with its own is not noted."""
        if self.own_tenant is None:
            self.services.audit.note(action, tenant, **details)

    def note_missing_worker(self, tag: str) -> None:
        """Say on stderr, with the command that mends it, when no living worker takes the runs of *tag*."""
        from taglane.errors import TaglaneError  # noqa: PLC0415
        from taglane.model.names import SHARED, owner_of, pool_of  # noqa: PLC0415

        with suppress(TaglaneError):  # what the command was for is done by now
            if owner_of(tag) == SHARED:  # whose workers only the operator sees
                if self.own_tenant is None and pool_of(tag) not in self.pools.staffed():
                    self.say_missing_worker(tag)
                return
            if self.workers.serving(tag, within=self.services.settings.lease):
                return
            self.say_missing_worker(tag)

    def say_missing_worker(self, tag: str) -> None:
        """Say on stderr how to start a worker for a tag that none serves."""
        click.echo(f"note: no worker serves tag {tag!r} now; start one:  taglane worker --tag {tag}", err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if "services" in self.__dict__:
            self.services.close()
