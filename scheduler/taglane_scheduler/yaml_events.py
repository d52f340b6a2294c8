"""Parses YAML into events, one at a time: by libyaml where PyYAML brings it, a hundred times as fast, else by ruamel.

Both give the same events; what a scalar means is decided by neither (`yaml_tree`). A text that libyaml refuses is given
to ruamel: it takes a little more, `[:a]` for one, and says better what is wrong. Of a file, libyaml's word is the last.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO


_ERRORS: tuple[type[Exception], ...] = (YAMLError, ValueError, RecursionError)


class BadYaml(ValueError):
    """Text that is no YAML, or YAML that we don't take. Line and column count from 1."""

    def __init__(self, line: int, column: int, why: str) -> None:
        self.line, self.column, self.why = line, column, why
        super().__init__(f"{line}:{column}: {why}")


def events(stream: str | IO[str], *, pure: bool = False) -> Iterator[Any]:
    """Yield the events of a text, which is read as far as they are asked for: those of PyYAML, or, *pure*, of ruamel.

    Raises:
        BadYaml: where it is no YAML.
        UnicodeDecodeError: the stream holds something else than text.
    """
    parser, errors = _libyaml()
    try:
        if parser is None or pure or (isinstance(stream, str) and not _takes(parser, stream, errors)):
            yield from YAML(typ="safe", pure=True).parse(stream)
        else:
            yield from iter(parser(stream).get_event, None)
    except (BadYaml, UnicodeDecodeError):
        raise
    except errors as error:
        raise _renamed(error) from error


@cache
def _libyaml() -> tuple[Any, tuple[type[Exception], ...]]:
    """Return libyaml's parser, if there is one, and the errors that either parser raises."""
    try:
        return import_module("yaml.cyaml").CParser, (*_ERRORS, import_module("yaml").YAMLError)
    except ImportError:
        return None, _ERRORS


def _takes(parser: Any, text: str, errors: tuple[type[Exception], ...]) -> bool:
    following = parser(text).get_event
    try:
        while following() is not None:
            pass
    except errors:
        return False
    return True


def _renamed(error: Any) -> BadYaml:
    if not hasattr(error, "problem_mark"):
        return BadYaml(1, 1, f"no YAML: {' '.join(str(error).split()) or 'nested too deeply'}")
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return BadYaml(line, column, f"no YAML: {error.problem or error.context}")
