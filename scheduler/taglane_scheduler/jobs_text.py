"""Writes a jobs file of what the server has, for `read_jobs_file` to read back as it was. Pure.

It spells the little YAML that this takes itself, tenant by tenant: ruamel would take half an hour for a million jobs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from taglane.model.limits import Limits, spelled

from taglane_scheduler.jobs_diff import fields_of
from taglane_scheduler.yaml_tree import plain_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from taglane.model.job import Job

_PLAIN = re.compile(r"(?:[A-Za-z_/]|[0-9.]+[A-Za-z/])(?:[A-Za-z0-9_./* -]*[A-Za-z0-9_./*-])?")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})  # some reader's, if not ours
_LONGEST_KEY = 500  # characters: of a longer one a reader does not know for a key what stands before a colon


def jobs_text(limits: Mapping[str, Limits], jobs: Iterable[Job]) -> str:
    """Return the file: the tenants are those of *limits*, in that order, and have *jobs* of theirs."""
    own: dict[str, list[Job]] = {tenant: [] for tenant in limits}
    for job in jobs:
        own[job.tenant].append(job)
    return "".join(jobs_file((tenant, limits[tenant], some) for tenant, some in own.items()))


def jobs_file(tenants: Iterable[tuple[str, Limits, Iterable[Job]]]) -> Iterator[str]:
    """Yield the parts of the file: what comes before all tenants, then each tenant with its limits and its jobs.

    Of a tenant without limits it names none, and so leaves alone what the tenant has where the file is applied.
    """
    yield "tenants:"
    is_empty = True
    for tenant, limits, jobs in tenants:
        body: dict[str, Any] = {"limits": spelled(limits)} if limits != Limits() else {}
        if named := {job.name: fields_of(job) for job in jobs}:
            body["jobs"] = named
        yield "\n" * is_empty + "\n".join(_pair(tenant, body, "  ")) + "\n"
        is_empty = False
    if is_empty:
        yield " {}\n"


def _pair(key: str, value: Any, margin: str) -> Iterator[str]:
    """Yield the lines of a key and its value."""
    name = _text(key)
    if len(name) > _LONGEST_KEY:
        yield f"{margin}? {name}"
        name = ""
    if isinstance(value, dict | list) and value:
        yield f"{margin}{name}:"
        yield from _lines(value, margin + "  " if isinstance(value, dict) or not name else margin)
    else:
        yield f"{margin}{name}: {_scalar(value)}"


def _lines(value: Any, margin: str) -> Iterator[str]:
    """Yield the lines of a mapping or a list in which there is something."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _pair(key, inner, margin)
        return
    for item in value:
        if isinstance(item, dict | list) and item:
            first, *others = _lines(item, margin + "  ")
            yield f"{margin}- {first[len(margin) + 2 :]}"
            yield from others
        else:
            yield f"{margin}- {_scalar(item)}"


def _scalar(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case dict():
            return "{}"
        case list():
            return "[]"
        case _:
            return repr(value)


def _text(text: str) -> str:
    """Spell a text so that it is read back as this text: without quotes where every reader does so."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and (text[0].isalpha() or plain_value(text) == text):
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in {'"', "\\"}:
        return "\\" + char
    return char if char.isprintable() else f"\\U{ord(char):08x}"
