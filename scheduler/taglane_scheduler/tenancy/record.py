"""What is kept of a tenant in `taglane:{.}:tenants`: which passwords open it, and until when. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from taglane_scheduler.tenancy import acl

if TYPE_CHECKING:
    from collections.abc import Mapping

_OURS = ("created", "password_hashes", "cut", "until")


@dataclass(frozen=True, slots=True)
class Record:
    """One field of `taglane:{.}:tenants`.

    created          ms
    password_hashes  SHA-256, in hex, of each password that opens it; the newest is last
    cut              why the tenant is cut off, whatever its passwords; empty when it is not
    until            of a password that a rotation has replaced: to which instant, ms, it still opens
    other            what a newer version has written beside these, and what is so kept
    """

    created: int
    password_hashes: tuple[str, ...]
    cut: str = ""
    until: Mapping[str, int] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """As it is kept."""
        ours = {"created": self.created, "password_hashes": self.password_hashes}
        some = {name: value for name, value in (("cut", self.cut), ("until", self.until)) if value}
        return json.dumps({**self.other, **ours, **some})

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Read what is kept."""
        values: dict[str, Any] = json.loads(text)
        return cls(
            created=int(values["created"]),
            password_hashes=tuple(values["password_hashes"]),
            cut=str(values.get("cut", "")),
            until={digest: int(instant) for digest, instant in values.get("until", {}).items()},
            other={name: value for name, value in values.items() if name not in _OURS},
        )

    def rules(self, name: str, database: int) -> list[str]:
        """Return what `ACL SETUSER` is told of the tenant's user."""
        return acl.rules(name, self.password_hashes, database=database, cut=bool(self.cut))

    def rotated(self, digest: str, *, now: int, overlap: int) -> Self:
        """With one more password; each of the others opens for *overlap* ms more at most, and with 0 not at all."""
        live = self.at(now)
        kept = live.password_hashes if overlap else ()
        end = now + overlap
        until = {each: min(end, live.until.get(each, end)) for each in kept}
        return replace(live, password_hashes=(*kept, digest), until=until)

    def at(self, now: int) -> Self:
        """With those passwords alone that open at *now*; itself when these are all."""
        over = {digest for digest, instant in self.until.items() if instant <= now}
        if not over:
            return self
        return replace(
            self,
            password_hashes=tuple(digest for digest in self.password_hashes if digest not in over),
            until={digest: instant for digest, instant in self.until.items() if digest not in over},
        )

    def shut(self) -> Self:
        """With no password: nobody can log in."""
        return replace(self, password_hashes=(), until={})


def has_ends(text: bytes) -> bool:
    """Whether a record may name a password that ends: all records are looked through, and few are worth reading."""
    return b'"until"' in text
