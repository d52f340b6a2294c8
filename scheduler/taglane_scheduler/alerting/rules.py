"""Says of what somebody is told, how soon, and where: the alert rules, as they are checked and kept."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from taglane.errors import BadName, ChannelInUse
from taglane.model.duration import format_duration, parse_duration
from taglane.model.names import check_job, check_tag, check_tenant, owner_of
from taglane.store import keys
from taglane.store.server import Server

from taglane_scheduler.alerting.channels import Channel
from taglane_scheduler.alerting.records import Records, checked, id_of

ALL = "*"
"""Every tenant."""

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

LONGEST = 7 * DAY
"""The longest window, delay or silence."""

LEAST_IN_A_ROW, MOST_IN_A_ROW = 3, 100
MOST_COUNTED = 1_000
"""The highest threshold of runs that are counted: so many are looked at in a round."""

COUNTED = ("failed", "dead_letter", "missed")
"""Kinds that count what has happened in a window."""

BACKLOG = ("queue_older", "queue_longer", "over_limit")
"""Kinds that look at what waits."""

STANDING = ("no_worker", "connections", "bandwidth", "memory", "tenant_cut", "alert_channel")
"""Kinds of the alerts that schedulers raise by themselves: a rule says who is told."""

KINDS = {
    "failed": "runs of a job that ended failed, expired or dead: N in a row, or N within a window",
    "dead_letter": "runs that were given up, N within a window",
    "missed": "due instants that were passed over, N within a window",
    "late": "a due instant that was not fired for longer than D",
    "queue_older": "the oldest run of a queue has waited for longer than D",
    "queue_longer": "more than N runs wait in a queue",
    "over_limit": "a tenant has waited at its limit for longer than D",
    "no_worker": "runs wait for a tag that no living worker serves",
    "connections": "a tenant has more connections than its limit",
    "bandwidth": "a tenant uses more bandwidth than its limit",
    "memory": "a tenant takes more memory than its limit, or the server holds more than is explained",
    "tenant_cut": "a tenant was cut off for what it used",
    "alert_channel": "a channel takes no messages: let another tell of it",
}
"""What a rule may be about."""


def _duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[int, BeforeValidator(_duration), Field(ge=0, le=LONGEST)]
"""ms, or a text like ``10m``."""

_USES: dict[str, frozenset[str]] = {
    "failed": frozenset({"threshold", "window", "in_a_row", "job"}),
    "dead_letter": frozenset({"threshold", "window", "job"}),
    "missed": frozenset({"threshold", "window", "job"}),
    "late": frozenset({"after", "job"}),
    "queue_older": frozenset({"after", "tag"}),
    "queue_longer": frozenset({"threshold", "after", "tag"}),
    "over_limit": frozenset({"after"}),
    "no_worker": frozenset({"after", "tag"}),
} | {kind: frozenset({"after"}) for kind in STANDING if kind != "no_worker"}
_DEFAULTS: dict[str, dict[str, int]] = {
    "failed": {"threshold": 1, "window": 10 * MINUTE},
    "dead_letter": {"threshold": 1, "window": HOUR},
    "missed": {"threshold": 1, "window": HOUR},
    "late": {"after": MINUTE},
    "queue_older": {"after": 5 * MINUTE},
    "queue_longer": {"threshold": 1_000},
    "over_limit": {"after": 5 * MINUTE},
}


class AlertRule(BaseModel):
    """One rule; known by *owner* and *name*. Durations in ms. `make_rule` makes one from loose input."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    owner: str = ""
    """The tenant whose rule it is; empty for the operator's."""

    name: str
    on: str
    """One of `KINDS`."""

    tenant: str = ALL
    """Whom it is about; ``*`` is every tenant."""

    job: str = ""
    """A job, ``report*`` or ``*``: then each job is counted for itself. Empty: all runs of the tenant together."""

    tag: str = ""
    """A tag; empty for each of the tenant's."""

    threshold: int | None = Field(default=None, ge=1, le=1_000_000)
    """How many; see the kind."""

    window: Duration | None = None
    """Within which so many count."""

    in_a_row: bool = False
    """Of `failed`: the last *threshold* runs of a job, whenever they were."""

    after: Duration | None = None
    """For how long it must be so."""

    silence: Duration = 10 * MINUTE
    """The shortest time between two messages that say that the same thing is wrong."""

    recovered: bool = True
    """Whether there is a message when it is over."""

    channels: list[str] = Field(min_length=1, max_length=10)
    """Names of channels of the same owner."""

    enabled: bool = True

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        return _said(check_job, name)

    @field_validator("owner")
    @classmethod
    def _owned(cls, owner: str) -> str:
        return owner and _said(check_tenant, owner)

    @field_validator("tenant")
    @classmethod
    def _of_tenant(cls, tenant: str) -> str:
        return tenant if tenant == ALL else _said(check_tenant, tenant)

    @field_validator("on")
    @classmethod
    def _kind(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"it is one of {', '.join(KINDS)}")
        return kind

    @field_validator("job")
    @classmethod
    def _of_job(cls, job: str) -> str:
        if job and job.removesuffix("*"):
            _said(check_job, job.removesuffix("*"))
        return job

    @field_validator("tag")
    @classmethod
    def _of_tag(cls, tag: str) -> str:
        return tag and _said(check_tag, tag)

    @field_validator("channels")
    @classmethod
    def _to(cls, channels: list[str]) -> list[str]:
        for channel in channels:
            _said(check_job, channel)
        return list(dict.fromkeys(channels))

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.owner and self.tenant != self.owner:
            raise ValueError(f"tenant: a rule of tenant {self.owner!r} is about {self.owner!r}, not {self.tenant!r}")
        if self.owner and self.silence < MINUTE:
            raise ValueError("silence: of a tenant's own rule it is at least 1m")
        unused = [name for name in ("threshold", "window", "after", "job", "tag", "in_a_row") if getattr(self, name)]
        unused = [name for name in unused if name not in _USES[self.on]]
        if unused:
            uses = ", ".join(sorted(_USES[self.on])) or "none of these"
            raise ValueError(f"{unused[0]}: a rule on {self.on!r} has none; it takes {uses}")
        if self.in_a_row and (not self.job or self.window):
            raise ValueError("in_a_row: it is of a job, and of no window: give job (one, report* or *), and no window")
        if self.in_a_row and not LEAST_IN_A_ROW <= self.count <= MOST_IN_A_ROW:
            raise ValueError(f"threshold: in a row it is {LEAST_IN_A_ROW} to {MOST_IN_A_ROW}")
        if self.on in {"failed", "dead_letter"} and self.count > MOST_COUNTED:
            raise ValueError(f"threshold: of runs it is {MOST_COUNTED} at most")
        if self.on == "missed" and self.job.endswith("*"):
            raise ValueError("job: missed instants are counted of one job, or of the whole tenant: give one, or none")
        if self.on in COUNTED and self.window is not None and self.window < MINUTE:
            raise ValueError("window: it is at least 1m")
        if self.tag and self.tenant != ALL and owner_of(self.tag) not in {self.tenant, "shared"}:
            raise ValueError(f"tag: {self.tag!r} is not one of tenant {self.tenant!r}")
        return self

    @property
    def id(self) -> str:
        """What it is kept under."""
        return id_of(self.owner, self.name)

    @property
    def count(self) -> int:
        """The threshold, or what it is when nothing is said."""
        if self.in_a_row:
            return self.threshold or LEAST_IN_A_ROW
        return self.threshold or _DEFAULTS.get(self.on, {}).get("threshold", 1)

    @property
    def within(self) -> int:
        """The window, ms, or what it is when nothing is said."""
        return _DEFAULTS.get(self.on, {}).get("window", HOUR) if self.window is None else self.window

    @property
    def lasting(self) -> int:
        """For how long, ms, it must be so."""
        return _DEFAULTS.get(self.on, {}).get("after", 0) if self.after is None else self.after

    @property
    def says(self) -> str:
        """The condition in words: ``failed, 3 in a row``."""
        if self.in_a_row:
            return f"{self.on}, {self.count} in a row"
        parts = [self.on]
        if "threshold" in _USES[self.on]:
            more = "more than " if self.on == "queue_longer" else ""
            parts.append(f"{more}{self.count}")
        if "window" in _USES[self.on]:
            parts[-1] += f" within {format_duration(self.within)}"
        if "after" in _USES[self.on] and self.lasting:
            parts.append(f"for {format_duration(self.lasting)}")
        return ", ".join(parts)

    def is_about(self, tenant: str) -> bool:
        """Whether it concerns a tenant; the empty name stands for what is nobody's alone."""
        return self.tenant in (ALL, tenant)

    def has_job(self, job: str) -> bool:
        """Whether a job is among those that it names."""
        return job.startswith(self.job[:-1]) if self.job.endswith("*") else job == self.job


def make_rule(**given: Any) -> AlertRule:
    """Return the rule of these fields.

    Raises:
        BadAlertRule: names the field, and its value.
    """
    if given.get("owner") and "tenant" not in given:
        given["tenant"] = given["owner"]
    return checked("rule", AlertRule, given)


class Rules:
    """The rules of one server. Takes the operator's credential.

    Who asks for a tenant passes its name as *owner*: a rule is known by owner and name.
    """

    def __init__(self, server: Server) -> None:
        self._records = Records(server, keys.ALERT_RULES, AlertRule, "rule")
        self._channels = Records(server, keys.ALERT_CHANNELS, Channel, "channel")

    def list(self, owner: str | None = None) -> list[AlertRule]:
        """Return the rules of one owner, or of all, by owner and name."""
        return [rule for rule in self._records.all().values() if owner in (None, rule.owner)]

    def read(self) -> tuple[dict[str, AlertRule], set[str]]:
        """Return all rules, by id, and the ids of those that can't be read: a newer Taglane may have written them."""
        return self._records.read()

    def get(self, name: str, owner: str = "") -> AlertRule:
        """Return one.

        Raises:
            AlertPartNotFound: there is none.
        """
        return self._records.get(owner, name)

    def put(self, rule: AlertRule) -> bool:
        """Write a rule, in the place of one of that name; return whether it is new.

        Raises:
            AlertPartNotFound: its owner has no channel of a name that it gives.
            TooManyAlertParts: its owner has as many as it may.
        """
        for channel in rule.channels:
            self._channels.get(rule.owner, channel)
        return self._records.put(rule.owner, rule.name, rule)

    def delete(self, name: str, owner: str = "") -> None:
        """Forget a rule; what it has told of is told as over.

        Raises:
            AlertPartNotFound: there is none.
        """
        self._records.delete(owner, name)

    def require_unused(self, channel: str, owner: str = "") -> None:
        """Check that no rule sends to a channel.

        Raises:
            ChannelInUse: some do.
        """
        using = [rule.name for rule in self.list(owner) if channel in rule.channels]
        if using:
            raise ChannelInUse(channel, using)


def _said(check: Any, name: str) -> str:
    """Check a name as the model does it everywhere, and say of it what pydantic can tell on."""
    try:
        return str(check(name))
    except BadName as error:
        raise ValueError(str(error)) from error
