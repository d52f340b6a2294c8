"""Builds the stores of runs, queues and limits over one connection: by which commands, pages and the API act."""
# ruff: noqa: PLC0415 - lazy imports are its point: a command pays for what it uses

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taglane.client import Taglane
    from taglane.settings import Settings
    from taglane.store.bulk import Bulk
    from taglane.store.calls import Calls
    from taglane.store.dead_letters import DeadLetters
    from taglane.store.history import History
    from taglane.store.last_runs import LastRuns
    from taglane.store.limits import LimitStore
    from taglane.store.logs import Logs
    from taglane.store.pools import Pools
    from taglane.store.queues import Queues
    from taglane.store.runs import Runs
    from taglane.store.search import RunSearch
    from taglane.store.server import Server
    from taglane.store.standings import Standings
    from taglane.store.usage import Usage
    from taglane.store.workers import Workers


class Stores:
    """The stores behind one server's credential, each built when it is first asked for."""

    def __init__(self, server: Server, settings: Settings) -> None:
        self._server = server
        self._settings = settings

    @cached_property
    def client(self) -> Taglane:
        """Enqueues; has a connection of its own, which `close` ends."""
        from taglane.client import Taglane

        return Taglane(self._settings.url)

    @cached_property
    def workers(self) -> Workers:
        """Lists workers."""
        from taglane.store.workers import Workers

        return Workers(self._server)

    @cached_property
    def runs(self) -> Runs:
        """Finds runs, waits for them, cancels them."""
        from taglane.store.runs import Runs

        return Runs(self._server)

    @cached_property
    def run_search(self) -> RunSearch:
        """Finds runs by a query."""
        from taglane.store.search import RunSearch

        return RunSearch(self._server)

    @cached_property
    def bulk(self) -> Bulk:
        """Cancels, or runs again, all that a query takes."""
        from taglane.store.bulk import Bulk

        return Bulk(self.runs, self.run_search)

    @cached_property
    def calls(self) -> Calls:
        """Says what runs were called with, and makes such calls again."""
        from taglane.store.calls import Calls

        return Calls(self._server, self._settings.payload_limit)

    @cached_property
    def last_runs(self) -> LastRuns:
        """Says how the last runs of many jobs ended."""
        from taglane.store.last_runs import LastRuns

        return LastRuns(self._server)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """Lists, replays and drops what was given up."""
        from taglane.store.dead_letters import DeadLetters

        return DeadLetters(self._server)

    @cached_property
    def history(self) -> History:
        """Reads all that is kept of a tenant's past."""
        from taglane.store.history import History

        return History(self._server)

    @cached_property
    def logs(self) -> Logs:
        """Reads what runs have logged."""
        from taglane.store.logs import Logs

        return Logs(self._server)

    @cached_property
    def queues(self) -> Queues:
        """Says what waits for each tag, and empties queues."""
        from taglane.store.queues import Queues

        return Queues(self._server, self._settings.lease)

    @cached_property
    def standings(self) -> Standings:
        """Says how each tenant stands now."""
        from taglane.store.standings import Standings

        return Standings(self._server, self._settings.lease)

    @cached_property
    def usage(self) -> Usage:
        """Says what was used on which day."""
        from taglane.store.usage import Usage

        return Usage(self._server)

    @cached_property
    def limits(self) -> LimitStore:
        """The tenants' limits, and whether they are paused or drain."""
        from taglane.store.limits import LimitStore

        return LimitStore(self._server)

    @cached_property
    def pools(self) -> Pools:
        """The shared pools; takes the operator's credential."""
        from taglane.store.pools import Pools

        return Pools(self._server)

    def close(self) -> None:
        """Close what has a connection of its own."""
        if "client" in self.__dict__:
            self.client.close()
