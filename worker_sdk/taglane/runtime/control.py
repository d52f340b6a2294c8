"""Celery's remote control, as far as tenants have it: revoke cancels runs, the rest says where to look."""

from __future__ import annotations

import logging
from typing import Any

from celery.app.control import Control as CeleryControl

from taglane.errors import RunNotFound, TenantMissing
from taglane.model.names import tenant_of_run
from taglane.runtime.publisher import reachable_tenant, server_for
from taglane.store.runs import Runs
from taglane.store.server import tenant_of_url

logger = logging.getLogger("taglane.worker")


class NotBroadcast(NotImplementedError):
    """There is no channel on which all workers listen: one tenant's would hear another's."""

    def __init__(self, command: str) -> None:
        super().__init__(
            f"Taglane's workers take no {command!r} broadcast: see  taglane workers  and  taglane run list"
        )


class Control(CeleryControl):
    """`app.control` without a broadcast channel."""

    def revoke(self, task_id: Any, destination: Any = None, terminate: bool = False, **_: Any) -> None:
        """Cancel runs: what waits ends at once; what runs goes on, unless *terminate* asks to stop it."""
        url = self.app.conf.broker_transport_options["secret_url"]
        runs = Runs(server_for(url))
        for run in [task_id] if isinstance(task_id, str) else list(task_id):
            tenant = tenant_of_url(url) or tenant_of_run(run) or reachable_tenant(url)
            if tenant is None:
                raise TenantMissing(f"revoke of {run}")
            try:
                if terminate or runs.get(run, tenant).state != "running":
                    runs.cancel(run, "revoked", tenant)
            except RunNotFound:
                logger.info("revoke_unknown run=%s", run)

    def terminate(self, task_id: Any, **kwargs: Any) -> None:
        """Cancel runs; see `revoke`."""
        self.revoke(task_id, terminate=True)

    def purge(self, connection: Any = None) -> int:
        """Refuse: Celery's purge would find no messages, and say that there were none.

        Raises:
            NotBroadcast: always.
        """
        raise NotBroadcast("purge")

    discard_all = purge

    def broadcast(self, command: str, *_: Any, **__: Any) -> Any:
        """Refuse: there is no such channel.

        Raises:
            NotBroadcast: always.
        """
        raise NotBroadcast(command)
