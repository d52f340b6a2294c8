"""Sees to the nodes of a cluster: which there are, also without a slot yet, and that each has the function library."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as TimedOut
from taglane.store import functions, keys
from taglane.store.server import connect_node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)

NODE_TIMEOUT = 1.0
_AWAY = {"fail", "noaddr", "handshake"}


def members(server: Server) -> Sequence[tuple[str, int]]:
    """Return host and port of each node that takes part in a cluster, as the one says that has the record.

    Raises:
        ServerUnavailable: it gives no answer.
    """
    with server.renamed("asking which nodes there are", operator=True):
        told: Any = server.node_at(keys.TENANTS).execute_command("CLUSTER NODES")
        flags = {name: set(str(node["flags"]).split(",")) for name, node in told.items()}
    here = sorted(name for name, its in flags.items() if not its & _AWAY)
    return [(host, int(port)) for host, _, port in (name.rpartition(":") for name in here)]


def load_library(server: Server) -> None:
    """Let every node have the functions that is no replica: those have them from their primaries.

    One that gives no answer is logged. Takes the operator's credential.
    """
    with server.renamed("loading the function library", operator=True):
        for host, port in members(server):
            try:
                with closing(connect_node(server.url, host, port, timeout=NODE_TIMEOUT)) as node:
                    role: Any = node.execute_command("ROLE")  # type: ignore[no-untyped-call]
                    if role[0] in (b"master", "master"):
                        functions.load(node)
            except (LostConnection, TimedOut) as error:
                log.info("node_without_library node=%s:%d error=%s", host, port, error)
