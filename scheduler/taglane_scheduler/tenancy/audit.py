"""The audit log: who did what to which tenant, from where and when; and what the server refused to whom.

Two streams of the operator's, to which entries are added and in which none is changed: `taglane:{.}:audit` for what was
done, `taglane:{.}:denied` for what was refused. They are two so that a tenant that is refused a thousand times a second
pushes nobody's deeds out of the log. Each keeps about its last hundred thousand entries. No tenant reaches them;
whoever has the operator's credential, or the server's machine, could still write them anew: ship them elsewhere
(`taglane audit -f -o json`) where that matters.
"""

from __future__ import annotations

import getpass
import json
import re
import socket
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from redis.exceptions import ResponseError
from taglane.errors import BadParams
from taglane.store import full, keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taglane.store.server import Server

KEPT = 100_000
"""Entries of each stream, about: a server trims them by whole nodes."""

LOOKED = 10_000
"""Entries that one page looks at."""

_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}", re.ASCII)

PAGE = 1_000
"""Entries read in one call."""

_for: ContextVar[tuple[str, str] | None] = ContextVar("taglane_audit_for", default=None)

DENIED = "denied"
"""The action of what the server refused."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log.

    id       of its stream: ``ms-number``
    at       when, ms, by the server's clock
    action   what was done, or `denied`
    tenant   to which tenant, or whose credential was refused; empty for none
    who      ``user@host`` and the name of its credential, as in ``root@ops1 (default)``; of a refusal that name alone
    address  from where, as the server saw it; empty when it would not say
    details  what else there is to say
    """

    id: str
    at: int
    action: str
    tenant: str
    who: str
    address: str
    details: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some entries of one stream, the newest first; *next* is what to ask the next page with, '' when there is none."""

    entries: Sequence[Entry]
    next: str


class Audit:
    """The audit log of one server. Takes the operator's credential."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    def note(self, action: str, tenant: str, **details: str | int) -> None:
        """Enter what was just done, by this process's user or whom it acts for; also on a server that is full."""
        with self._server.renamed("writing the audit log", operator=True):
            who, address = _for.get() or (f"{_me()} ({self._credential()})", self._address())
            entry = fields(action, tenant, who, address, details)
            add(self._redis, keys.AUDIT, entry)

    def list(self, tenant: str | None = None, *, since: int = 0, count: int = 100) -> list[Entry]:
        """Return the last *count* entries, of one tenant or of all, that are not older than *since*, ms; oldest first.

        It reads until it has found so many: for a quiet tenant, the whole log.
        """
        with self._server.renamed("reading the audit log", operator=True):
            found = [entry for key in (keys.AUDIT, keys.DENIED) for entry in self._last(key, tenant, since, count)]
        return sorted(found, key=_order)[-count:]

    def page(  # noqa: PLR0913 - what is asked for
        self,
        tenant: str | None,
        *,
        denied: bool = False,
        before: str = "",
        since: int = 0,
        limit: int = 100,
        action: str = "",
    ) -> AuditPage:
        """Return entries of one tenant or of all, the newest first: what was done, or what was *denied*.

        *action* asks for one of what was done.

        It looks at `LOOKED` entries at most: for a quiet tenant a page may end before it is full, and the next goes on.

        Raises:
            BadParams: *before* is no page of the log.
        """
        if before and not _ENTRY_ID.fullmatch(before):
            raise BadParams(f"after={before[:60]!r}: it is no page of the log: begin with the first")
        found: list[Entry] = []
        last, left = before, LOOKED
        with self._server.renamed("reading the audit log", operator=True):
            while left > 0:
                start = f"({last}" if last else "+"
                some = self._redis.xrevrange(keys.DENIED if denied else keys.AUDIT, start, since, count=PAGE)
                for entry_id, values in some:
                    entry = _entry(entry_id, values)
                    last = entry.id
                    if tenant in (None, entry.tenant) and action in ("", entry.action):
                        found.append(entry)
                        if len(found) == limit:
                            return AuditPage(found, last)
                left -= PAGE
                if len(some) < PAGE:
                    return AuditPage(found, "")
        return AuditPage(found, last)

    def ends(self) -> dict[str, str]:
        """Return the last id of each stream: where `after` begins."""
        with self._server.renamed("reading the audit log", operator=True):
            return {key: self._end(key) for key in (keys.AUDIT, keys.DENIED)}

    def after(self, ends: dict[str, str], *, wait_ms: int) -> Sequence[Entry]:
        """Return what was entered after *ends*, which is moved on; wait for it, so long at most."""
        with self._server.renamed("reading the audit log", operator=True):
            answer = self._redis.xread(ends, count=PAGE, block=wait_ms) or []
        found = []
        for stream, entries in answer:
            for entry_id, values in entries:
                ends[stream.decode()] = entry_id.decode()
                found.append(_entry(entry_id, values))
        return sorted(found, key=_order)

    def _last(self, key: str, tenant: str | None, since: int, count: int) -> Iterator[Entry]:
        newest, left = "+", count
        while left:
            page = self._redis.xrevrange(key, newest, since, count=PAGE)
            for entry_id, values in page:
                entry = _entry(entry_id, values)
                newest = f"({entry.id}"
                if tenant in (None, entry.tenant):
                    yield entry
                    left -= 1
                    if not left:
                        break
            if len(page) < PAGE:
                return

    def _end(self, key: str) -> str:
        last = self._redis.xrevrange(key, count=1)
        return last[0][0].decode() if last else "0"

    def _credential(self) -> str:
        return unquote(urlsplit(self._server.url).username or "") or "default"

    def _address(self) -> str:
        with suppress(ResponseError):  # a managed server may not say
            return (
                client_fields(self._server.node_at(keys.AUDIT).execute_command("CLIENT", "INFO"))
                .get("addr", "")
                .rpartition(":")[0]
            )
        return ""


@contextmanager
def acting_for(who: str, address: str) -> Iterator[None]:
    """Note what is done inside the block as done by *who*, from *address*: a process does it for somebody who asked."""
    token = _for.set((who, address))
    try:
        yield
    finally:
        _for.reset(token)


def fields(action: str, tenant: str, who: str, address: str, details: Mapping[str, str | int]) -> dict[str, str]:
    """Return an entry as a stream keeps it."""
    return {"action": action, "tenant": tenant, "who": who, "address": address, "details": json.dumps(details)}


def add(redis: Any, key: str, entry: Mapping[str, str]) -> None:
    """Add an entry to a stream, which drops its oldest ones for it."""
    full.write(redis, "XADD", key, "MAXLEN", "~", str(KEPT), "*", *(word for pair in entry.items() for word in pair))


def client_fields(text: Any) -> dict[str, str]:
    """Read what a server says of a client: ``id=3 addr=127.0.0.1:5123 …``."""
    line = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return dict(pair.split("=", 1) for pair in line.split() if "=" in pair)


def _entry(entry_id: bytes, values: Mapping[bytes, bytes]) -> Entry:
    text = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in values.items()}
    try:
        details = json.loads(text.get("details", "{}"))
    except ValueError:  # whoever has the operator's credential may have added anything
        details = {"unreadable": text["details"]}
    return Entry(
        id=entry_id.decode(),
        at=int(entry_id.split(b"-")[0]),
        action=text.get("action", ""),
        tenant=text.get("tenant", ""),
        who=text.get("who", ""),
        address=text.get("address", ""),
        details=details if isinstance(details, dict) else {"unreadable": json.dumps(details)},
    )


def _order(entry: Entry) -> tuple[int, ...]:
    return tuple(map(int, entry.id.split("-")))


@cache
def _me() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user needs no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
