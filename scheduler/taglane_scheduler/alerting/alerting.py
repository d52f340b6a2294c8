"""Builds alerting: the stores that commands, pages and the API use, and the threads that a scheduler runs."""
# ruff: noqa: PLC0415 - lazy imports are its point: a command pays for what it uses

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from taglane.settings import Settings
    from taglane.store.server import Server

    from taglane_scheduler.alerting.channels import Channels
    from taglane_scheduler.alerting.courier import Courier, Sender
    from taglane_scheduler.alerting.judge import Alert
    from taglane_scheduler.alerting.outbox import Outbox
    from taglane_scheduler.alerting.rules import Rules
    from taglane_scheduler.alerting.silences import Silences
    from taglane_scheduler.alerting.watcher import Watcher

    class Alerts(Protocol):
        """Where schedulers keep what they find wrong by themselves."""

        def list(self, tenant: str | None = None) -> Sequence[Alert]:
            """Return what stands."""

        def raise_alert(self, kind: str, tenant: str, subject: str, text: str) -> bool:
            """Let an alert stand."""

        def end(self, kind: str, tenant: str, subject: str) -> bool:
            """Let it stand no more."""


class Alerting:
    """The parts of alerting, each built when it is first asked for.

    Args:
        settings: of the process.
        server: with the operator's credential.
    """

    def __init__(self, settings: Settings, server: Server) -> None:
        self._settings = settings
        self._server = server

    @cached_property
    def rules(self) -> Rules:
        """Of what somebody is told."""
        from taglane_scheduler.alerting.rules import Rules

        return Rules(self._server)

    @cached_property
    def channels(self) -> Channels:
        """Where messages go."""
        from taglane_scheduler.alerting.channels import Channels

        return Channels(self._server)

    @cached_property
    def silences(self) -> Silences:
        """What nobody is told of now."""
        from taglane_scheduler.alerting.silences import Silences

        return Silences(self._server)

    @cached_property
    def outbox(self) -> Outbox:
        """Incidents, and the messages about them."""
        from taglane_scheduler.alerting.outbox import Outbox

        return Outbox(self._server)

    @cached_property
    def courier(self) -> Courier:
        """What tries a channel, for commands and pages.

        Raises:
            BadSetting: a setting that says where to, or by what, says nothing.
        """
        return self._courier(None)

    def watcher(self, alerts: Alerts) -> Watcher:
        """Return what evaluates the rules; *alerts* are what schedulers have found by themselves."""
        from taglane.store.standings import Standings

        from taglane_scheduler.alerting.readings import Readings
        from taglane_scheduler.alerting.watcher import Watcher

        readings = Readings(self._server, Standings(self._server, self._settings.lease))
        return Watcher(
            self._server,
            rules=self.rules,
            silences=self.silences,
            outbox=self.outbox,
            alerts=alerts,
            readings=readings,
        )

    def threads(self, alerts: Alerts, over: threading.Event) -> list[threading.Thread]:
        """Return the threads of a scheduler, not started yet: they end when *over* is set.

        Raises:
            BadSetting: see `courier`.
        """
        courier = self._courier(alerts)
        parts = (("taglane-watcher", self.watcher(alerts).run), ("taglane-courier", courier.run))
        return [threading.Thread(target=run, args=(over,), name=name, daemon=True) for name, run in parts]

    def _courier(self, alerts: Alerts | None) -> Courier:
        from taglane_scheduler.alerting.courier import Courier

        return Courier(self._server, self.outbox, self.channels, self._senders(), alerts)

    def _senders(self) -> dict[str, Sender]:
        from taglane_scheduler.alerting.by_apprise import ByApprise
        from taglane_scheduler.alerting.mail import Mail, read_mail_server
        from taglane_scheduler.alerting.reach import Reach, read_networks
        from taglane_scheduler.alerting.webhook import Webhook

        settings = self._settings
        reach = Reach(
            read_networks("TAGLANE_WEBHOOK_ALLOW", settings.webhook_allow),
            read_networks("TAGLANE_WEBHOOK_ALLOW_TENANTS", settings.webhook_allow_tenants),
        )
        mail_server = read_mail_server(settings.smtp) if settings.smtp else None
        return {
            "webhook": Webhook(reach),
            "mail": Mail(mail_server, settings.mail_from),
            "apprise": ByApprise(),
        }
