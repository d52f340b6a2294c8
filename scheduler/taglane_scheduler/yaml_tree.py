"""Reads YAML into values that know their line and column. Pure.

Nothing in a text is constructed but plain scalars, lists and maps, so a document can neither name a Python type nor
grow beyond what it says: aliases are counted each time they are used. A large mapping may be read pair by pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML, nodes

from taglane_scheduler.yaml_events import BadYaml, events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import IO

_MOST_NODES = 300_000
_DEEPEST = 100
_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_TAKEN = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "timestamp", "map", "seq")}


@dataclass(frozen=True, slots=True)
class Value:
    """A value and where it stands. `data` is a dict of `Value`s by `Key`, a list of `Value`s, or a scalar."""

    data: Any
    line: int
    column: int

    @property
    def kind(self) -> str:
        """What it is, in a user's words."""
        match self.data:
            case dict():
                return "a mapping"
            case list():
                return "a list"
            case None:
                return "nothing"
            case bool():
                return "true or false"
            case int() | float():
                return "a number"
            case _:
                return "a text"

    def plain(self) -> Any:
        """Return the value without its places."""
        match self.data:
            case dict():
                return {key.name: value.plain() for key, value in self.data.items()}
            case list():
                return [value.plain() for value in self.data]
            case _:
                return self.data


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a mapping and where it stands."""

    name: Any
    line: int
    column: int


def read_yaml(text: str, *, pure: bool = False) -> Value:
    """Read one document; an empty one is a `Value` of None. *pure*, by ruamel, as where there is no libyaml.

    Raises:
        BadYaml: with the place and what is wrong there.
    """
    document = Document(text, pure=pure)
    value = document.value()
    document.end()
    return value


def size(value: Value) -> int:
    """Return about how many bytes of memory a value takes."""
    match value.data:
        case dict():
            return 100 + sum(100 + size(each) for each in value.data.values())
        case list():
            return 100 + sum(map(size, value.data))
        case str():
            return 100 + len(value.data)
        case _:
            return 100


def pairs(value: Value, what: str) -> Mapping[Key, Value]:
    """Return the pairs of a mapping by name; nothing is an empty one.

    Raises:
        BadYaml: it is something else; *what* says what it should be.
    """
    if not isinstance(value.data, dict | None):
        raise BadYaml(value.line, value.column, f"{what} is a mapping by name, not {value.kind}")
    return value.data or {}


def fields(value: Value, known: Iterable[str], what: str) -> dict[str, Value]:
    """Return the fields of a mapping, all of them *known*; nothing is an empty one.

    Raises:
        BadYaml: it is something else, or has another field, at whose place the one is named that was perhaps meant.
    """
    if not isinstance(value.data, dict | None):
        raise BadYaml(value.line, value.column, f"{what} is a mapping, not {value.kind}")
    allowed = tuple(known)
    for key in value.data or ():
        check_field(key, allowed, what)
    return {key.name: field for key, field in (value.data or {}).items()}


def check_field(key: Key, known: Sequence[str], what: str) -> None:
    """Raise BadYaml, at the place of a key that is none of the *known*; see `fields`."""
    if key.name not in known:
        hint = did_you_mean(key.name, known) or f"there are {', '.join(known)}"
        raise BadYaml(key.line, key.column, f"{what} has no field {key.name!r}: {hint}")


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """Return the question that names what was perhaps meant; '' when nothing is near."""
    near = get_close_matches(str(name), list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


class Document:
    """The one document of a text: read whole, or a mapping pair by pair, each in its turn.

    Args:
        stream: the text; a file is read as far as the document is.
        pure: see `read_yaml`.
    """

    def __init__(self, stream: str | IO[str], *, pure: bool = False) -> None:
        self._event = events(stream, pure=pure).__next__
        self._count = 0
        self._anchors: dict[str, tuple[Value | None, int, tuple[int, int]]] = {}
        """What each anchor names, None while it is being read; of how many values that is made; where it stands."""

        self._event()  # of the stream
        self._is_empty = _kind(self._event()) == "StreamEnd"
        self._ahead: Any = None if self._is_empty else self._event()

    def value(self) -> Value:
        """Read what comes next: the whole document, or the value of the pair that `pairs` has come to."""
        return Value(None, 1, 1) if self._is_empty else self._value(self._next(), 0)

    def is_mapping(self) -> bool:
        """Whether what comes next is a mapping that `pairs` can go through."""
        if self._ahead is None and not self._is_empty:
            self._ahead = self._event()
        return not self._is_empty and _kind(self._ahead) == "MappingStart" and not self._ahead.anchor

    def pairs(self, within: int = 0) -> Iterator[tuple[Key, Value | None]]:
        """Go through the mapping that comes next, *within* so many others: its keys, each followed by its value.

        That is None where it is to be read yet, by `value` or `pairs`, before the next key is asked for. However large
        the mapping is, each of its values may be as large as a whole document that `read_yaml` reads.
        """
        self._check_tag(self._next())
        names: set[Any] = set()
        merged: dict[Key, Value] = {}
        while (event := self._next()) is not None and _kind(event) != "MappingEnd":
            self._count = 0
            key = self._key(event, names)
            if key is None:
                merged |= self._merged(self._next(), within)
                continue
            yield key, None
        for key, value in merged.items():
            if key.name not in names:
                yield key, value

    def end(self) -> None:
        """Check that there is no more."""
        if not self._is_empty:
            self._next()
            if _kind(event := self._next()) != "StreamEnd":
                raise BadYaml(*_place(event), "no YAML: expected a single document in the stream")

    def _next(self) -> Any:
        if self._ahead is not None:
            event, self._ahead = self._ahead, None
            return event
        return self._event()

    def _value(self, event: Any, depth: int) -> Value:
        kind, (line, column) = _kind(event), _place(event)
        if kind == "Alias":
            return self._alias(event, line, column)
        before = self._count = self._count + 1
        if depth > _DEEPEST or self._count > _MOST_NODES:
            raise BadYaml(line, column, "nested too deeply" if depth > _DEEPEST else "too large")
        if kind == "Scalar":
            value = Value(_scalar(event), line, column)
        else:
            if event.anchor:
                self._anchors[event.anchor] = (None, 0, (line, column))
            self._check_tag(event)
            value = Value(self._mapping(depth) if kind == "MappingStart" else self._sequence(depth), line, column)
        if event.anchor:
            self._anchors[event.anchor] = (value, self._count - before + 1, (line, column))
        return value

    def _alias(self, event: Any, line: int, column: int) -> Value:
        if event.anchor not in self._anchors:
            raise BadYaml(line, column, f"no YAML: found undefined alias {event.anchor!r}")
        value, count, place = self._anchors[event.anchor]
        if value is None:
            raise BadYaml(*place, "nested too deeply")
        self._count += count
        if self._count > _MOST_NODES:
            raise BadYaml(line, column, "too large")
        return value

    def _sequence(self, depth: int) -> list[Value]:
        found = []
        while _kind(event := self._next()) != "SequenceEnd":
            found.append(self._value(event, depth + 1))
        return found

    def _mapping(self, depth: int) -> dict[Key, Value]:
        own: dict[Key, Value] = {}
        names: set[Any] = set()
        merged: dict[Key, Value] = {}
        while _kind(event := self._next()) != "MappingEnd":
            key = self._key(event, names)
            if key is None:
                merged |= self._merged(self._next(), depth)
            else:
                own[key] = self._value(self._next(), depth + 1)
        return {**{key: value for key, value in merged.items() if key.name not in names}, **own} if merged else own

    def _key(self, event: Any, names: set[Any]) -> Key | None:
        """Read a key, and note its name; None for one that merges."""
        line, column = _place(event)
        if _kind(event) != "Scalar":
            if _kind(event) != "Alias" or not isinstance((name := self._alias(event, line, column).data), str):
                raise BadYaml(line, column, "a key is a plain text")
        elif event.value == "<<" and _is_plain(event):
            return None
        else:
            name = _scalar(event)
            if event.anchor:
                self._anchors[event.anchor] = (Value(name, line, column), 1, (line, column))
        if name in names:
            raise BadYaml(line, column, f"{name!r} is there twice")
        names.add(name)
        return Key(name, line, column)

    def _merged(self, event: Any, depth: int) -> dict[Key, Value]:
        given = self._value(event, depth + 1)
        sources = given.data if isinstance(given.data, list) else [given]
        found: dict[Key, Value] = {}
        for value in reversed(sources):
            if not isinstance(value.data, dict):
                raise BadYaml(value.line, value.column, f"<< takes a mapping, not {value.kind}")
            names = {key.name for key in value.data}
            found = {**{key: kept for key, kept in found.items() if key.name not in names}, **value.data}
        return found

    def _check_tag(self, event: Any) -> None:
        tag = None if event.tag is None else str(event.tag)
        if tag is not None and tag != "!" and tag not in _TAKEN:
            raise BadYaml(*_place(event), f"the tag {tag} is not taken here")


def _kind(event: Any) -> str:
    """Return what an event is, in the words that both parsers have for it: `Scalar`, `MappingStart`, `Alias`."""
    return type(event).__name__[:-5]


def _place(event: Any) -> tuple[int, int]:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


def _is_plain(event: Any) -> bool:
    """Whether a scalar stands there without quotes and tag, so that its text says what it is."""
    return bool(event.implicit[0]) and event.tag is None


def _scalar(event: Any) -> Any:
    try:
        if event.tag is None or str(event.tag) == "!":
            return plain_value(event.value) if _is_plain(event) else event.value
        return _tagged(str(event.tag), event.value)
    except KeyError as error:
        raise BadYaml(*_place(event), f"the tag {error.args[0]} is not taken here") from error
    except ValueError as error:
        raise BadYaml(*_place(event), str(error)) from error
    except IndexError as error:  # of ruamel: it takes the first character of a number that has none
        raise BadYaml(*_place(event), "no YAML: an empty text is no number") from error


@lru_cache(maxsize=65_536)
def plain_value(text: str) -> Any:
    """Return what a text is that stands without quotes, in YAML 1.2; of a date, the text."""
    return _tagged(str(_yaml().resolver.resolve(nodes.ScalarNode, text, (True, False))), text)


def _tagged(tag: str, text: str) -> Any:
    """Return a scalar of the type that a tag names; KeyError for one that is none of ours."""
    if tag in {_TEXT, "tag:yaml.org,2002:timestamp"}:
        return text  # of a date, too: it says more, its precision, than what YAML would make of it
    if tag not in _TAKEN:
        raise KeyError(tag)
    constructor: Any = _yaml().constructor
    return constructor.yaml_constructors[tag](constructor, nodes.ScalarNode(tag, text))


@cache
def _yaml() -> YAML:
    """Return what says what scalars mean. To make one takes longer than to ask it: it looks for its plugins' files."""
    yaml = YAML(typ="safe", pure=True)
    yaml.resolver.resolve(nodes.ScalarNode, "", (True, False))  # it gathers its rules at the first question
    return yaml
