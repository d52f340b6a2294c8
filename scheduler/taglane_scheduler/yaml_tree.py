"""Reads YAML into values that know their line and column. Pure.

The text is parsed into nodes and no further: nothing in it is constructed but plain scalars, lists and maps, so a
document can neither name a Python type nor grow beyond what it says (aliases are counted each time they are used).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML, nodes
from ruamel.yaml.error import MarkedYAMLError, YAMLError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MOST_NODES = 300_000
_DEEPEST = 100
_MERGE = "tag:yaml.org,2002:merge"
_TAKEN = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "timestamp", "map", "seq")}


class BadYaml(ValueError):
    """Text that is no YAML, or YAML that we don't take. Line and column count from 1."""

    def __init__(self, line: int, column: int, why: str) -> None:
        self.line, self.column, self.why = line, column, why
        super().__init__(f"{line}:{column}: {why}")


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


def read_yaml(text: str) -> Value:
    """Read one document; an empty one is a `Value` of None.

    Raises:
        BadYaml: with the place and what is wrong there.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise BadYaml(line, column, f"no YAML: {error.problem or error.context}") from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise BadYaml(1, 1, f"no YAML: {' '.join(str(error).split()) or 'nested too deeply'}") from error
    return Value(None, 1, 1) if node is None else _Reader(yaml).value(node, 0)


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
        if key.name not in allowed:
            hint = did_you_mean(key.name, allowed) or f"there are {', '.join(allowed)}"
            raise BadYaml(key.line, key.column, f"{what} has no field {key.name!r}: {hint}")
    return {key.name: field for key, field in (value.data or {}).items()}


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """Return the question that names what was perhaps meant; '' when nothing is near."""
    near = get_close_matches(str(name), list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


class _Reader:
    def __init__(self, yaml: Any) -> None:
        self._construct = yaml.constructor.construct_object
        self._count = 0

    def value(self, node: Any, depth: int) -> Value:
        line, column = _place(node)
        self._count += 1
        if depth > _DEEPEST or self._count > _MOST_NODES:
            raise BadYaml(line, column, "nested too deeply" if depth > _DEEPEST else "too large")
        self._check_tag(node)
        match node:
            case nodes.MappingNode():
                return Value(self._mapping(node, depth), line, column)
            case nodes.SequenceNode():
                return Value([self.value(item, depth + 1) for item in node.value], line, column)
            case _:
                return Value(self._scalar(node), line, column)

    def _check_tag(self, node: Any) -> None:
        if str(node.tag) not in _TAKEN:
            raise BadYaml(*_place(node), f"the tag {node.tag} is not taken here")

    def _scalar(self, node: Any) -> Any:
        if str(node.tag).endswith(":timestamp"):
            return node.value  # the text of a date says more, its precision, than what YAML would make of it
        try:
            return self._construct(node)
        except ValueError as error:
            raise BadYaml(*_place(node), str(error)) from error

    def _mapping(self, node: Any, depth: int) -> dict[Key, Value]:
        own: dict[Key, Value] = {}
        names: set[Any] = set()
        merged: dict[Key, Value] = {}
        for key_node, value_node in node.value:
            if str(key_node.tag) == _MERGE:
                merged |= self._merged(value_node, depth)
                continue
            if not isinstance(key_node, nodes.ScalarNode):
                raise BadYaml(*_place(key_node), "a key is a plain text")
            self._check_tag(key_node)
            key = Key(self._scalar(key_node), *_place(key_node))
            if key.name in names:
                raise BadYaml(key.line, key.column, f"{key.name!r} is there twice")
            names.add(key.name)
            own[key] = self.value(value_node, depth + 1)
        return {**{key: value for key, value in merged.items() if key.name not in names}, **own}

    def _merged(self, node: Any, depth: int) -> dict[Key, Value]:
        sources = node.value if isinstance(node, nodes.SequenceNode) else [node]
        found: dict[Key, Value] = {}
        for source in reversed(sources):
            value = self.value(source, depth + 1)
            if not isinstance(value.data, dict):
                raise BadYaml(value.line, value.column, f"<< takes a mapping, not {value.kind}")
            names = {key.name for key in value.data}
            found = {**{key: kept for key, kept in found.items() if key.name not in names}, **value.data}
        return found


def _place(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
