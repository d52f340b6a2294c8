"""Keeps rules, channels and silences: each kind is one hash of the operator's, owner and name -> JSON."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from taglane.errors import AlertPartNotFound, BadAlertRule, TooManyAlertParts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from taglane.store.server import Server

log = logging.getLogger(__name__)

MOST = 2_000
"""Of the operator's own, of one kind."""

MOST_OF_TENANT = 50
"""Of one tenant, of one kind: a round of evaluation is bounded."""


R = TypeVar("R", bound=BaseModel)


def id_of(owner: str, name: str) -> str:
    """Return what a record is kept under: ``acme/nights``, or ``/nights`` of the operator."""
    return f"{owner}/{name}"


class Records(Generic[R]):
    """The records of one kind, of all owners. Takes the operator's credential.

    Args:
        server: with the operator's credential.
        key: the hash.
        model: what a value is read as; it has *owner* and *name*.
        part: what the kind is called: rule, channel, silence.
    """

    def __init__(self, server: Server, key: str, model: type[R], part: str) -> None:
        self._server = server
        self._redis: Any = server.redis
        self._key = key
        self._model = model
        self._part = part
        self._unreadable: set[bytes] = set()

    def all(self) -> dict[str, R]:
        """Return all that can be read, by id."""
        return self.read()[0]

    def read(self) -> tuple[dict[str, R], set[str]]:
        """Return all that can be read, by id, and the ids of what can't: a newer Taglane may have written it."""
        with self._server.renamed(f"reading the alert {self._part}s", operator=True):
            kept: Mapping[bytes, bytes] = self._redis.hgetall(self._key)
        found = {field.decode(errors="replace"): self._read(field, value) for field, value in kept.items()}
        read = {field: record for field, record in sorted(found.items()) if record is not None}
        return read, found.keys() - read.keys()

    def has(self, owner: str, name: str) -> bool:
        """Whether there is one of that name, which perhaps can't be read."""
        with self._server.renamed(f"looking for an alert {self._part}", operator=True):
            return bool(self._redis.hexists(self._key, id_of(owner, name)))

    def get(self, owner: str, name: str) -> R:
        """Return one.

        Raises:
            AlertPartNotFound: there is none of that name.
        """
        with self._server.renamed(f"reading an alert {self._part}", operator=True):
            value = self._redis.hget(self._key, id_of(owner, name))
        found = None if value is None else self._read(id_of(owner, name).encode(), value)
        if found is None:
            raise AlertPartNotFound(self._part, name, owner)
        return found

    def put(self, owner: str, name: str, record: R) -> bool:
        """Write one, in the place of one of that name; return whether it is new.

        Raises:
            TooManyAlertParts: its owner has as many as it may.
        """
        field = id_of(owner, name)
        with self._server.renamed(f"writing an alert {self._part}", operator=True):
            names = [each.decode(errors="replace") for each in self._redis.hkeys(self._key)]
            own = [each for each in names if each.partition("/")[0] == owner]
            most = MOST_OF_TENANT if owner else MOST
            if field not in own and len(own) >= most:
                raise TooManyAlertParts(self._part, most, owner)
            return bool(self._redis.hset(self._key, field, json.dumps(plain(record))))

    def delete(self, owner: str, name: str) -> None:
        """Forget one.

        Raises:
            AlertPartNotFound: there is none of that name.
        """
        with self._server.renamed(f"deleting an alert {self._part}", operator=True):
            if not self._redis.hdel(self._key, id_of(owner, name)):
                raise AlertPartNotFound(self._part, name, owner)

    def _read(self, field: bytes, value: bytes) -> R | None:
        try:
            return self._model.model_validate_json(value)
        except (ValidationError, ValueError):
            if field not in self._unreadable:
                self._unreadable.add(field)
                log.warning("alert_record_unreadable part=%s id=%s", self._part, field.decode(errors="replace")[:200])
            return None


def plain(record: BaseModel) -> dict[str, Any]:
    """Return the fields of a record that are not as they are when nothing is said, and those that name it."""
    given: dict[str, Any] = record.model_dump(mode="json", exclude_defaults=True)
    return given


def checked(part: str, model: type[R], given: Mapping[str, Any], *, hidden: Collection[str] = ()) -> R:
    """Make a record of what somebody has said.

    A check of the whole record says ``field: why``.

    Raises:
        BadAlertRule: names the first field that can't be so, and its value if it is not *hidden*.
    """
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field, why = ".".join(str(place) for place in first["loc"]), first["msg"].removeprefix("Value error, ")
        why = why.replace("Input should", "it should")
        if not field:
            field, _, why = why.partition(": ")
        if first["type"] == "extra_forbidden":
            why = f"there is no such field; there are {', '.join(model.model_fields)}"
        top = field.partition(".")[0]
        raise BadAlertRule(part, field, "…" if top in hidden else _short(given.get(top)), why) from None


def _short(value: Any) -> Any:
    return f"{value[:100]}…" if isinstance(value, str) and len(value) > 100 else value
