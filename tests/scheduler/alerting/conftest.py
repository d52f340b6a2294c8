"""Alerting on a real server, whose webhooks may reach the loopback interface, and a receiver there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from factories import make_server, server_time
from receivers import Receiver, receiver
from taglane.settings import Settings
from taglane.store import keys
from taglane_scheduler.alerting.alerting import Alerting
from taglane_scheduler.alerting.channels import make_channel
from taglane_scheduler.alerting.rules import AlertRule, make_rule
from taglane_scheduler.care.alerts import Alerts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane.store.server import Server
    from taglane_scheduler.alerting.watcher import Watcher

SECRET = "a-secret-of-16-characters"


@dataclass
class Desk:
    """All of alerting, and what it tells of."""

    server: Server
    redis: Redis
    alerting: Alerting
    alerts: Alerts
    watchers: list[Watcher] = field(default_factory=list)

    @property
    def watcher(self) -> Watcher:
        if not self.watchers:
            self.watchers.append(self.alerting.watcher(self.alerts))
        return self.watchers[0]

    def tenant(self, name: str = "acme") -> str:
        """Let there be a tenant of that name."""
        self.redis.hset(keys.TENANTS, name, "{}")
        return name

    def channel(self, url: str, name: str = "ops", **fields: Any) -> str:
        """Let there be a webhook."""
        self.alerting.channels.put(make_channel(name=name, kind="webhook", url=url, secret=SECRET, **fields))
        return name

    def rule(self, **fields: Any) -> AlertRule:
        """Let there be a rule, about workers that are missing unless it is said."""
        rule = make_rule(
            **{
                "name": "first",
                "on": "no_worker",
                "channels": ["ops"],
                "silence": 60_000 if fields.get("owner") else 0,
                **fields,
            }
        )
        self.alerting.rules.put(rule)
        return rule

    def waiting(self, channel: str = "/ops") -> list[bytes]:
        """The ids of the messages that wait for a channel."""
        found: Any = self.redis.lrange(keys.alert_queue(channel), 0, -1)
        return list(found)

    def now(self) -> int:
        return server_time(self.redis)


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def desk(store: Server, redis: Redis, url: str) -> Desk:
    settings = Settings(url=url, webhook_allow="127.0.0.0/8")
    return Desk(store, redis, Alerting(settings, store), Alerts(store))


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running
