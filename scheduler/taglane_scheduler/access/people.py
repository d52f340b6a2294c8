"""Keeps who may log in: name, password's hash, role, and the tenant that they see, or all. Takes the operator's."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from taglane.errors import BadName
from taglane.store import full, keys

from taglane_scheduler.access import passwords
from taglane_scheduler.access.errors import BadRole, LoginRefused, PersonExists, PersonNotFound
from taglane_scheduler.access.principal import ROLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.store.server import Server

    from taglane_scheduler.access.principal import Role

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may log in.

    tenant   the only one that they see; None: all
    born     when that tenant was made, ms: another of its name is another tenant
    epoch    changes with password and role: logins of an older one are over
    digest   of the password
    created  ms
    """

    name: str
    role: Role
    tenant: str | None
    born: int | None
    epoch: str
    digest: str
    created: int


def check_person(name: str) -> str:
    """Return a name that somebody may log in with; capitals become small.

    Raises:
        BadName: it is none.
    """
    small = name.strip().lower()
    if not _NAME.fullmatch(small):
        raise BadName("user", name, why="must be 1 to 64 of a-z 0-9 . _ @ + -, starting with a letter or digit")
    return small


def check_role(role: str) -> Role:
    """Return *role* when it is one.

    Raises:
        BadRole: it is none.
    """
    found = next((each for each in ROLES if each == role), None)
    if found is None:
        raise BadRole(role, ROLES)
    return found


class People:
    """The people of one console, which all consoles of a server share."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    def anyone(self) -> bool:
        """Whether there is anybody who can log in."""
        with self._server.renamed("reading who may log in", operator=True):
            return bool(self._redis.hlen(keys.PEOPLE))

    def list(self) -> list[Person]:
        """Return everybody, by name."""
        with self._server.renamed("reading who may log in", operator=True):
            stored = self._redis.hgetall(keys.PEOPLE)
        found = [_read(name.decode(errors="replace"), text) for name, text in stored.items()]
        return sorted((person for person in found if person is not None), key=lambda person: person.name)

    def get(self, name: str) -> Person:
        """Return one of them.

        Raises:
            PersonNotFound: nobody is called that.
        """
        found = self.find(name)
        if found is None:
            raise PersonNotFound(name)
        return found

    def find(self, name: str) -> Person | None:
        """Return one of them, None for nobody."""
        with self._server.renamed("reading who may log in", operator=True):
            text = self._redis.hget(keys.PEOPLE, name)
        return None if text is None else _read(name, text)

    def add(self, name: str, password: str, role: str, tenant: str | None = None) -> Person:
        """Let somebody log in. *tenant* must be one.

        Raises:
            BadName: nobody can be called that.
            BadRole: it is no role.
            BadPassword: it is too short or too long.
            PersonExists: somebody is called that.
            ExtraMissing: argon2 is not installed.
        """
        checked, rank = check_person(name), check_role(role)
        digest = passwords.hashed(passwords.check_password(password))
        born, now = self._born(tenant)
        person = Person(checked, rank, tenant, born, secrets.token_hex(8), digest, now)
        with self._server.renamed("adding a person", operator=True):
            if not full.write(self._redis, "HSETNX", keys.PEOPLE, checked, _text(person)):
                raise PersonExists(checked)
        return person

    def change_role(self, name: str, role: str) -> Person:
        """Give somebody another role; their logins are over.

        Raises:
            PersonNotFound: nobody is called that.
            BadRole: it is no role.
        """
        rank = check_role(role)
        return self._change(name, lambda person: replace(person, role=rank, epoch=secrets.token_hex(8)))

    def change_password(self, name: str, password: str) -> Person:
        """Give somebody another password; their logins are over.

        Raises:
            PersonNotFound: nobody is called that.
            BadPassword: it is too short or too long.
        """
        digest = passwords.hashed(passwords.check_password(password))
        return self._change(name, lambda person: replace(person, digest=digest, epoch=secrets.token_hex(8)))

    def delete(self, name: str) -> None:
        """Let somebody in no more; their logins are over.

        Raises:
            PersonNotFound: nobody is called that.
        """
        with self._server.renamed("deleting a person", operator=True):
            if not self._redis.hdel(keys.PEOPLE, name):
                raise PersonNotFound(name)

    def forget_tenant(self, tenant: str) -> None:
        """Delete the people of a tenant that is gone."""
        for person in self.list():
            if person.tenant == tenant:
                with self._server.renamed("deleting a person", operator=True):
                    self._redis.hdel(keys.PEOPLE, person.name)

    def checked(self, name: str, password: str) -> Person:
        """Return who logs in with these; takes as long when there is nobody of that name.

        Raises:
            LoginRefused: nobody does.
        """
        person = self.find(name.strip().lower()[:64])
        if not passwords.matches(None if person is None else person.digest, password) or person is None:
            raise LoginRefused
        return person

    def _change(self, name: str, change: Callable[[Person], Person]) -> Person:
        with self._server.renamed("changing a person", operator=True):
            while True:
                text = self._redis.hget(keys.PEOPLE, name)
                old = None if text is None else _read(name, text)
                if old is None:
                    raise PersonNotFound(name)
                new = change(old)
                if full.swap(self._redis, keys.PEOPLE, name, text, _text(new)):
                    return new

    def _born(self, tenant: str | None) -> tuple[int | None, int]:
        """Return when a tenant was made, and the server's time, ms."""
        with self._server.renamed("adding a person", operator=True):
            seconds, micros = self._redis.time()
            text = self._redis.hget(keys.TENANTS, tenant) if tenant else None
        return born_of(text), seconds * 1000 + micros // 1000


def born_of(record: bytes | None) -> int | None:
    """Return when a tenant was made, as its record says; None for none."""
    return None if record is None else int(json.loads(record)["created"])


def _text(person: Person) -> str:
    return json.dumps({name: value for name, value in asdict(person).items() if name != "name"})


def _read(name: str, text: bytes) -> Person | None:
    try:
        values = json.loads(text)
        return Person(
            name=name,
            role=check_role(values["role"]),
            tenant=values["tenant"],
            born=values["born"],
            epoch=str(values["epoch"]),
            digest=str(values["digest"]),
            created=int(values["created"]),
        )
    except (ValueError, KeyError, TypeError, BadRole):  # whoever has the operator's credential may write anything
        return None
