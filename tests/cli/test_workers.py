"""`taglane workers`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from taglane.store.server import Server
from taglane.store.workers import Workers

if TYPE_CHECKING:
    from cli.conftest import Cli


def test_a_worker_is_listed_with_its_tags(taglane: Cli, acme: Cli, url: str) -> None:
    """Exactly these fields; with one that serves the tag, enqueueing notes nothing."""
    server = Server(url)
    info = json.dumps({"host": "h", "pid": 7, "slots": 4, "pool": "prefork"})
    server.call("hello", "acme", "w1", "info", info, "tags", "acme acme.io", "tasks", '["a.b"]')
    server.call("renew", "acme", "w1", 3, 0)
    server.close()

    (row,) = taglane.ok("workers", "-o", "json").json

    assert ["id", "tags", "host", "pid", "slots", "active", "last_seen"] == list(row)
    assert ("w1", ["acme", "acme.io"], "h", 7, 4, 3) == tuple(row.values())[:6]
    assert row["last_seen"].endswith("Z")
    assert [row] == acme.ok("workers", "-o", "json").json
    assert "acme acme.io" in taglane.ok("workers").out
    assert "" == acme.ok("enqueue", "a.b", "--tag", "acme.io").err
    assert "acme.gpu" in acme.ok("enqueue", "a.b", "--tag", "acme.gpu").err


def test_a_worker_is_drained(taglane: Cli, acme: Cli, url: str) -> None:
    """By the operator, who names the tenant, and by the tenant; noted; one that is unknown is said so."""
    server = Server(url)
    for worker in ("w1", "w2"):
        server.call("hello", "acme", worker, "info", "{}", "tags", "acme", "tasks", "[]")

    assert {"tenant": "acme", "worker": "w1", "draining": True} == (
        taglane.ok("workers", "drain", "w1", "--tenant", "acme", "-o", "json").json
    )
    assert "w2" in acme.ok("workers", "drain", "w2").out
    assert [True, True] == [each.draining for each in Workers(server).list("acme")]
    server.close()
    unknown = taglane("workers", "drain", "w3", "--tenant", "acme")
    assert (3, True) == (unknown.code, "taglane workers --tenant acme" in unknown.err)
    assert "worker-drain" == taglane.ok("audit", "--tenant", "acme", "-n", "1", "-o", "json").json[0]["action"]


def test_nobody_works(taglane: Cli, acme: Cli) -> None:
    """An empty list, and a hint on stderr; another tenant's are refused."""
    assert [] == taglane.ok("workers", "-o", "json").json
    assert "taglane worker --tag" in taglane.ok("workers").err
    assert 4 == acme("workers", "--tenant", "other").code
    assert 3 == taglane("workers", "--tenant", "nobody").code
