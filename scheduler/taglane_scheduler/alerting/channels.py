"""Says where messages go: webhooks, mail, and what apprise reaches; as they are checked and kept.

A channel's secret, and its address, which may hold one, are kept for the operator's credential alone and shown to
nobody: `Channel.shown` leaves them out.
"""

import re
import secrets
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from taglane.errors import BadName
from taglane.model.names import check_job, check_tenant
from taglane.store import keys
from taglane.store.server import Server

from taglane_scheduler.alerting.records import Records, checked, id_of

Kind = Literal["webhook", "mail", "apprise"]

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class Channel(BaseModel):
    """One channel; known by *owner* and *name*. `make_channel` makes one from loose input."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    owner: str = ""
    """The tenant whose channel it is: that tenant's rules alone may use it. Empty for the operator's."""

    name: str
    kind: Kind

    url: str = Field(default="", max_length=2_000)
    """Of a webhook and of apprise."""

    secret: str = Field(default="", max_length=200)
    """Of a webhook: what its messages are signed with."""

    to: list[str] = Field(default=[], max_length=20)
    """Of mail: addresses."""

    @field_validator("name", "owner")
    @classmethod
    def _named(cls, name: str, info: Any) -> str:
        try:
            return check_job(name) if info.field_name == "name" else (name and check_tenant(name))
        except BadName as error:
            raise ValueError(str(error)) from error

    @field_validator("to")
    @classmethod
    def _to(cls, to: list[str]) -> list[str]:
        for address in to:
            if not _ADDRESS.fullmatch(address) or ".." in address:
                raise ValueError(f"{address!r} is no mail address like ops@example.com")
        return list(dict.fromkeys(to))

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.kind == "mail":
            if not self.to:
                raise ValueError("to: a mail channel has at least one address")
            if self.url or self.secret:
                raise ValueError("url: a mail channel has none; the setting TAGLANE_SMTP says which server sends it")
        elif self.to:
            raise ValueError(f"to: a channel of kind {self.kind!r} has a url, and no addresses")
        if self.kind == "webhook":
            check_url(self.url)
            if len(self.secret) < 16:
                raise ValueError("secret: it has at least 16 characters")
        if self.kind == "apprise" and ("://" not in self.url or not self.url.isprintable() or self.secret):
            raise ValueError("url: it is an address that apprise knows, like slack://TOKEN, and holds its own secret")
        if self.owner and self.kind != "webhook":
            raise ValueError(
                f"kind: {self.kind} is the operator's to use: it would let tenant {self.owner!r} send from inside of "
                "the operator's network, or in its name; a tenant has webhooks"
            )
        return self

    @property
    def id(self) -> str:
        """What it is kept under."""
        return id_of(self.owner, self.name)

    @property
    def target(self) -> str:
        """Where it leads, as it may be shown: without what could be a secret."""
        match self.kind:
            case "mail":
                return ", ".join(self.to)
            case "apprise":
                return f"{self.url.partition('://')[0]}://…"
            case "webhook":
                parts = urlsplit(self.url)  # the path of many a service's webhook is its secret
                return f"{parts.scheme}://{parts.netloc}/…"

    @property
    def shown(self) -> dict[str, Any]:
        """Its fields as they may be shown."""
        return {"owner": self.owner, "name": self.name, "kind": self.kind, "target": self.target}


def check_url(url: str) -> None:
    """Check the address of a webhook, as far as that is known without asking for its host.

    Raises:
        ValueError: it begins otherwise than ``https://`` or ``http://``, has no host, or holds a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"url: {error}") from error
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("url: it is like https://example.com/hook")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("url: it holds a character that an address spells as %XX")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url: it holds a name or a password, which no page would hide: the signature says who sends")
    if port == 0 or parts.fragment:
        raise ValueError("url: its port is 0, or it has a #fragment, which is never sent")


def make_channel(**given: Any) -> Channel:
    """Return the channel of these fields; a webhook without a secret gets one, which is told only here.

    Raises:
        BadAlertRule: names the field, and its value where that is no secret.
    """
    if given.get("kind") == "webhook" and not given.get("secret"):
        given["secret"] = secrets.token_urlsafe(32)
    return checked("channel", Channel, given, hidden=("secret", "url"))


class Channels:
    """The channels of one server. Takes the operator's credential."""

    def __init__(self, server: Server) -> None:
        self._records = Records(server, keys.ALERT_CHANNELS, Channel, "channel")

    def list(self, owner: str | None = None) -> list[Channel]:
        """Return the channels of one owner, or of all, by owner and name. Show `Channel.shown` alone."""
        return [channel for channel in self._records.all().values() if owner in (None, channel.owner)]

    def get(self, name: str, owner: str = "") -> Channel:
        """Return one.

        Raises:
            AlertPartNotFound: there is none.
        """
        return self._records.get(owner, name)

    def has(self, name: str, owner: str = "") -> bool:
        """Whether there is one of that name, which perhaps can't be read: a newer Taglane may have written it."""
        return self._records.has(owner, name)

    def put(self, channel: Channel) -> bool:
        """Write a channel, in the place of one of that name; return whether it is new.

        Raises:
            TooManyAlertParts: its owner has as many as it may.
        """
        return self._records.put(channel.owner, channel.name, channel)

    def delete(self, name: str, owner: str = "") -> None:
        """Forget a channel, with its secret. Ask `Rules.require_unused` before.

        Raises:
            AlertPartNotFound: there is none.
        """
        self._records.delete(owner, name)
