"""Keeps people from being told while they work on a thing: the silences, as they are checked and kept."""

import secrets
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator
from taglane.errors import BadAlertRule, BadName
from taglane.model.duration import format_duration
from taglane.model.names import check_job, check_tenant
from taglane.store import keys
from taglane.store.server import Server

from taglane_scheduler.alerting.records import Records, checked, id_of

ALL = "*"
LONGEST = 30 * 86_400_000
"""ms: a longer one is a rule that should not be there."""


class Silence(BaseModel):
    """No message about these until then; known by *owner* and *name*, which is made. Times in ms, the server's."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    owner: str = ""
    """The tenant whose silence it is: it holds for that tenant's own rules. Empty for the operator's: for all rules."""

    name: str
    tenant: str = ALL
    rule: str = ""
    """One rule; empty for all."""

    since: int
    until: int
    why: str = Field(default="", max_length=200)
    by: str = Field(default="", max_length=200)

    @field_validator("tenant", "owner", "rule")
    @classmethod
    def _named(cls, name: str, info: Any) -> str:
        try:
            if info.field_name == "rule":
                return name and check_job(name)
            return name if name in ("", ALL) else check_tenant(name)
        except BadName as error:
            raise ValueError(str(error)) from error

    def covers(self, owner: str, rule: str, tenant: str, now: int) -> bool:
        """Whether it keeps a rule of an owner from telling about a tenant, now, ms."""
        if self.owner and self.owner != owner:
            return False
        return now < self.until and self.tenant in (ALL, tenant) and self.rule in ("", rule)


class Silences:
    """The silences of one server. Takes the operator's credential."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis
        self._records = Records(server, keys.ALERT_SILENCES, Silence, "silence")

    def list(self, owner: str | None = None) -> list[Silence]:
        """Return those that last, of one owner or of all, the one that ends first first; those that ended go."""
        now = self._now()
        lasting = []
        for silence in self._records.all().values():
            if now < silence.until:
                lasting.append(silence)
            else:
                with self._server.renamed("forgetting an alert silence", operator=True):
                    self._redis.hdel(keys.ALERT_SILENCES, id_of(silence.owner, silence.name))
        return sorted((each for each in lasting if owner in (None, each.owner)), key=lambda each: each.until)

    def put(  # noqa: PLR0913 - one for each field
        self, duration: int, *, tenant: str = ALL, rule: str = "", why: str = "", by: str = "", owner: str = ""
    ) -> Silence:
        """Be silent from now on, for *duration*, ms.

        Raises:
            BadAlertRule: names the field, and its value.
            TooManyAlertParts: the owner has as many as it may.
        """
        if not 0 < duration <= LONGEST:
            why_not = f"it takes more than nothing and {format_duration(LONGEST)} at most"
            raise BadAlertRule("silence", "for", format_duration(max(0, duration)), why_not)
        if owner and tenant != owner:
            raise BadAlertRule("silence", "tenant", tenant, f"a silence of tenant {owner!r} is about {owner!r}")
        now = self._now()
        fields = {"owner": owner, "tenant": tenant, "rule": rule, "why": why, "by": by}
        name = secrets.token_hex(4)
        silence = checked("silence", Silence, {**fields, "name": name, "since": now, "until": now + duration})
        self._records.put(owner, name, silence)
        return silence

    def delete(self, name: str, owner: str = "") -> None:
        """End a silence: what is wrong is told from now on.

        Raises:
            AlertPartNotFound: there is none.
        """
        self._records.delete(owner, name)

    def _now(self) -> int:
        with self._server.renamed("asking the time"):
            seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000
