"""Makes well-formed calls of every command that a server knows, from what it says of them: also of those to come.

`COMMAND DOCS` gives the grammar of each, `COMMAND` where its keys are. Of the grammar every alternative and every
option is used once; not all of their combinations.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from isolation.world import ATTACKER, CANARY, VICTIM, typed
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from isolation.world import Attacker, Word

MOST = 40
"""Ways of calling one command."""


class Key:
    """Where a key goes."""


class Count:
    """Where it is said how many keys there are."""


KEY, COUNT = Key(), Count()
Form = "list[Word | Key | Count]"

BY_NAME: dict[str, Word | Count] = {
    "numkeys": COUNT,
    "channel": keys.wake(VICTIM),
    "shardchannel": keys.wake(VICTIM),
    "username": f"taglane-{VICTIM}",
    "password": "guess",
    "script": f"return redis.call('GET', '{typed(VICTIM, 'string')}')",
    "function": "taglane_look",
    "function-code": "#!lua name=evil\nredis.register_function('evil', function() return 1 end)",
    "library-name": "taglane",
    "libname": "taglane",
    "sha1": "0" * 40,
    "cursor": 0,
    "index": 1,
    "index1": 0,
    "index2": 1,
    "timeout": 0.01,
    "milliseconds": 1,
    "seconds": 100,
    "id": "1-1",
    "start": 0,
    "stop": -1,
    "end": -1,
    "min": 0,
    "max": 100,
    "host": "127.0.0.1",
    "port": 1,
    "ttl": 0,
    "member": CANARY,
    "field": CANARY,
    "group": "x",
    "consumer": "x",
    "unit": "m",
    "longitude": 1.0,
    "latitude": 1.0,
    "protover": 2,
    "category": "read",
    "section": "all",
    "threshold": 5,
    "lastid": "0-0",
}
BY_TYPE: dict[str, Word | Key] = {
    "key": KEY,
    "string": "x",
    "integer": 1,
    "double": 1.5,
    "unix-time": 4_102_444_800,
    "pattern": "*",
}
LEX = {"min": "-", "max": "+"}
"""Ends of a range of texts; those of a range of numbers are called alike."""


@dataclass(frozen=True)
class Command:
    """One command, or one of a container's: how it is called, and its grammar."""

    name: tuple[str, ...]
    arity: int
    flags: frozenset[str]
    spots: tuple[int, int, int]
    arguments: tuple[dict[str, Any], ...]

    @property
    def has_keys(self) -> bool:
        return self.spots[0] > 0 or "movablekeys" in self.flags or any(KEY in form for form in self.forms())

    def forms(self) -> list[Any]:
        """Ways of calling it, with holes for keys."""
        made = [list(form) for form in islice(_sequences(self.arguments), MOST)]
        return [[*self.name, *form] for form in made] + [self._by_position()]

    def _by_position(self) -> list[Any]:
        """As `COMMAND` alone tells: so many words, keys at these places."""
        words: list[Any] = [*self.name, *["1"] * (abs(self.arity) - len(self.name))]
        first, last, step = self.spots
        if first:
            end = last if last >= 0 else len(words) + last
            words += ["1"] * (end + 1 - len(words))
            for place in range(first, end + 1, step or 1):
                words[place] = KEY
        return words

    def calls(self, target: str) -> Iterator[list[Word]]:
        """Every form with *target* as each of its keys; of several also with the attacker's own before or behind."""
        for form in self.forms():
            holes = [place for place, word in enumerate(form) if word is KEY]
            count = len(holes)
            plans = [[target] * count]
            if count > 1:
                own = [typed(ATTACKER, "any")] * (count - 1)
                plans += [[target, *own], [*own, target]]
            for plan in plans:
                filled = iter(plan)
                yield [next(filled) if word is KEY else count if word is COUNT else word for word in form]


def commands_of(attacker: Attacker) -> list[Command]:
    """All commands of a server, of containers each one's own. Takes the operator's credential."""
    docs = _pairs(attacker.send(["COMMAND", "DOCS"]))
    return [command for entry in attacker.send(["COMMAND"]) for command in _read(entry, docs)]


def _read(entry: Any, docs: dict[str, Any]) -> Iterator[Command]:
    name, arity, flags, first, last, step = entry[:6]
    told = _pairs(docs.get(_text(name), []))
    inner = _pairs(told.get("subcommands", []))
    words = tuple(_text(name).split("|"))
    grammar = tuple(_argument(each) for each in told.get("arguments", []))
    if not entry[9]:
        yield Command(words, int(arity), frozenset(map(_text, flags)), (int(first), int(last), int(step)), grammar)
    for sub in entry[9]:
        yield from _read(sub, inner)


def _argument(raw: Any) -> dict[str, Any]:
    made = _pairs(raw)
    made["arguments"] = [_argument(each) for each in made.get("arguments", [])]
    made["flags"] = {_text(flag) for flag in made.get("flags", [])}
    return {name: _text(value) if isinstance(value, bytes) else value for name, value in made.items()}


def _sequences(arguments: Sequence[dict[str, Any]]) -> Iterator[list[Any]]:
    """First what must be, then one change at a time: an option added, another alternative taken."""
    forms = [list(_forms(argument)) for argument in arguments]
    base = [[] if "optional" in argument["flags"] else made[0] for argument, made in zip(arguments, forms, strict=True)]
    yield [word for part in base for word in part]
    for place, made in enumerate(forms):
        for form in made:
            if form != base[place]:
                yield [word for part in [*base[:place], form, *base[place + 1 :]] for word in part]


def _forms(argument: dict[str, Any]) -> Iterator[list[Any]]:
    token = [argument["token"]] if argument.get("token") else []
    match argument["type"]:
        case "pure-token":
            yield token
        case "oneof":
            for each in argument["arguments"]:
                for form in _forms(each):
                    yield [*token, *form]
        case "block":
            for form in _sequences(argument["arguments"]):
                yield [*token, *form]
        case kind:
            name = str(argument["name"]).lower()
            value: Word | Key | Count | None = KEY if kind == "key" else LEX.get(name) if kind == "string" else None
            value = BY_NAME.get(name, BY_TYPE.get(kind, "x")) if value is None else value
            yield [*token, value]


def _pairs(raw: Any) -> dict[str, Any]:
    """A server's flat list of names and values."""
    return {_text(name): value for name, value in zip(raw[::2], raw[1::2], strict=True)}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
