"""Keeps the alerts: what is wrong now, for an operator to decide. One that no longer holds is taken away by its raiser.

All of them lie in one hash of the operator's; times in it are the server's. Any number of schedulers may find the same
thing wrong: it is one alert, and one log line, of the scheduler that found it first.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.store import keys
from taglane.store.full import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())  # a command, which has no log, says by itself what it did

MOST = 5_000
"""Alerts that are kept; of more, those go that were not seen for the longest."""

_SPARE = MOST // 10
"""How many go at once, so that not each new one has to look through all."""

LONGEST = 500
"""Characters of a text that are kept."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that is wrong: known by kind, tenant and subject. *since* and *seen* in ms; *seen* is the last time."""

    kind: str
    tenant: str
    """Empty when it is nobody's alone."""
    subject: str
    text: str
    since: int
    seen: int


class Alerts:
    """The alerts of one server. Takes the operator's credential."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    def raise_alert(self, kind: str, tenant: str, subject: str, text: str) -> bool:
        """Say that something is wrong; return whether it is new. Of one that is there, text and *seen* change."""
        return self.raise_all(kind, [(tenant, subject, text)])[0]

    def raise_all(self, kind: str, found: Sequence[tuple[str, str, str]]) -> Sequence[bool]:
        """Say of many at once that something is wrong, each ``(tenant, subject, text)``; return which are new."""
        texts = [" ".join(line.strip() for line in text.splitlines())[:LONGEST] for _, _, text in found]
        fields = [_field(kind, tenant, subject) for tenant, subject, _ in found]
        with self._server.renamed("raising alerts", operator=True):
            now = self._now()
            pipeline = self._redis.pipeline(transaction=False)
            for field, text in zip(fields, texts, strict=True):
                write(pipeline, "HSETNX", keys.ALERTS, field, _value(text, now, now))
                pipeline.hget(keys.ALERTS, field)
            pipeline.hlen(keys.ALERTS)
            *answers, count = pipeline.execute()
            new = [bool(answer) for answer in answers[::2]]
            known = self._redis.pipeline(transaction=False)
            for is_new, kept, field, text in zip(new, answers[1::2], fields, texts, strict=True):
                if not is_new:
                    since, _ = _times(kept)
                    write(known, "HSET", keys.ALERTS, field, _value(text, since or now, now))
            known.execute()
            if count > MOST and any(new):
                self._make_room()
        for is_new, (tenant, subject, _), text in zip(new, found, texts, strict=True):
            if is_new:
                log.warning("alert_raised kind=%s tenant=%s subject=%s text=%s", kind, tenant, subject, text)
        return new

    def end(self, kind: str, tenant: str, subject: str) -> bool:
        """Say that it is no longer so; return whether it was."""
        with self._server.renamed("ending an alert", operator=True):
            gone = bool(self._redis.hdel(keys.ALERTS, _field(kind, tenant, subject)))
        if gone:
            log.info("alert_ended kind=%s tenant=%s subject=%s", kind, tenant, subject)
        return gone

    def list(self, tenant: str | None = None) -> list[Alert]:
        """Return what is wrong now, of one tenant or of all, the oldest first."""
        with self._server.renamed("the list of alerts", operator=True):
            found = self._redis.hgetall(keys.ALERTS)
        alerts = [alert for alert in map(_read, found.items()) if alert is not None]
        wanted = [alert for alert in alerts if tenant is None or alert.tenant == tenant]
        return sorted(wanted, key=lambda alert: (alert.since, alert.kind, alert.tenant, alert.subject))

    def _make_room(self) -> None:
        """Drop those that were seen least lately; in a rare race of schedulers, a few more."""
        found = self._redis.hgetall(keys.ALERTS)
        stale = sorted(found, key=lambda field: _times(found[field])[1])[: len(found) - MOST + _SPARE]
        if stale:
            self._redis.hdel(keys.ALERTS, *stale)
            log.warning("alerts_full dropped=%d", len(stale))

    def _now(self) -> int:
        seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000


def _field(kind: str, tenant: str, subject: str) -> str:
    return json.dumps([kind, tenant, subject])


def _value(text: str, since: int, seen: int) -> str:
    return json.dumps({"text": text, "since": since, "seen": seen})


def _times(value: bytes | None) -> tuple[int, int]:
    try:
        kept = json.loads(value or b"{}")
        return int(kept["since"]), int(kept["seen"])
    except (ValueError, TypeError, KeyError):
        return 0, 0


def _read(item: tuple[bytes, bytes]) -> Alert | None:
    """Read one field of the hash; None for what is none of ours."""
    try:
        kind, tenant, subject = map(str, json.loads(item[0]))
        text = str(json.loads(item[1])["text"])
    except (ValueError, TypeError, KeyError):
        return None
    return Alert(kind, tenant, subject, text, *_times(item[1]))
