"""Shows what applying a jobs file changes: each change in a line, or its fields as a diff.

What is the same for many tenants, a template's change most of all, is shown once, with how many it reaches.
"""

from __future__ import annotations

import json
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.render import cell

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Mapping

    from taglane_scheduler.jobs_diff import Change

_NAMED = 3  # of many tenants that a diff is about
_FEW = 20  # changes that need no sum
_MOST_PARTS = 50_000  # of a diff among which what is alike is looked for


def row(change: Change) -> dict[str, Any]:
    """Return a change as JSON has it; `job` is null where it is the tenant's limits that change."""
    return {"tenant": change.tenant, "job": change.job, "template": change.template, "change": change.change}


def show_lines(changes: Iterable[Change], counts: Counter[str]) -> None:
    """Write a line for each change; of many, their sum to stderr, and no line for what stays as it is."""
    many = counts.total() > _FEW
    for each in changes:
        if each.is_any or not many:
            click.echo(f"{each.change:<9}  {each.subject}")
    if many:
        click.echo(", ".join(f"{count:,} {change}" for change, count in counts.items() if count), err=True)


def show_diff(changes: Iterable[Change], path: str) -> None:
    """Write what differs, as `diff -u` does; what differs alike for several tenants is one part.

    Of very many parts the last are of one tenant each: what is alike is looked for among as many as memory allows.
    """
    from taglane_scheduler.spool import Spool  # noqa: PLC0415 - not for the help

    parts: dict[tuple[str | None, str | None, tuple[str, ...]], _Part] = {}
    with Spool() as rest:
        for each in changes:
            lines = tuple(_lines(each))
            key = (each.job, each.template, lines)
            if key in parts:
                parts[key].add(each.tenant)
            elif len(parts) < _MOST_PARTS:
                parts[key] = _Part(each, path)
            else:
                rest.add([*_Part(each, path).head(), *lines])
        for (_, _, lines), part in parts.items():
            _show([*part.head(), *lines])
        for said in rest:
            _show(said)


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        click.secho(line, fg={"-": "red", "+": "green"}.get(line[:1]))


class _Part:
    """What differs alike: of which job, of how many tenants."""

    def __init__(self, first: Change, path: str) -> None:
        self._subject, self._what = first.subject, first.job or "limits"
        self._is_new, self._goes = first.before is None, first.after is None
        self._to = f"{path}, template {first.template}" if first.template else path
        self._named = [first.tenant]
        self._more = 0

    def add(self, tenant: str) -> None:
        """Count one tenant more."""
        if len(self._named) < _NAMED:
            self._named.append(tenant)
        else:
            self._more += 1

    def head(self) -> Iterator[str]:
        """Return the lines above what differs."""
        name = self._subject
        if len(self._named) > 1:
            more = f" and {self._more:,} more" if self._more else ""
            name = f"{self._what} of {', '.join(self._named)}{more}"
        yield "--- /dev/null" if self._is_new else f"--- {name} (server)"
        yield "+++ /dev/null" if self._goes else f"+++ {name} ({self._to})"


def _lines(change: Change) -> list[str]:
    before, after = _fields(change.before), _fields(change.after)
    return list(unified_diff(before, after, n=1, lineterm=""))[2:]


def _fields(fields: Mapping[str, Any] | None) -> list[str]:
    return [
        f"{field}: {cell(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)}"
        for field, value in (fields or {}).items()
    ]
