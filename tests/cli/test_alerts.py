"""`taglane alerts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.store.server import Server
from taglane_scheduler.care.alerts import Alerts

if TYPE_CHECKING:
    from cli.conftest import Cli


def test_alerts_are_listed(taglane: Cli, acme: Cli, url: str) -> None:
    """Exactly these fields, of one tenant or of all; a person is shown the whole text, with the command that mends."""
    server = Server(url)
    text = "200 connections, and the limit is 100:  taglane tenant limit acme connections=400"
    Alerts(server).raise_alert("connections", "acme", "", text)
    Alerts(server).raise_alert("memory", "other", "", "much")
    server.close()

    rows = taglane.ok("alerts", "-o", "json").json

    assert ["kind", "tenant", "subject", "text", "since", "seen"] == list(rows[0])
    assert ["acme", "other"] == [row["tenant"] for row in rows]
    assert rows[:1] == taglane.ok("alerts", "--tenant", "acme", "-o", "json").json
    assert text in taglane.ok("alerts").out
    assert 4 == acme("alerts").code


def test_nothing_is_wrong(taglane: Cli) -> None:
    """An empty list; a tenant that is none is an error."""
    assert [] == taglane.ok("alerts", "-o", "json").json
    assert "nothing is wrong" in taglane.ok("alerts").err
    assert 3 == taglane("alerts", "--tenant", "nobody").code
