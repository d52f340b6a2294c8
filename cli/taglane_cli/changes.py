"""Shows what applying a jobs file changes: each change in a line, or its fields as a diff.

What is the same for many tenants, a template's change most of all, is shown once, with how many it reaches.
"""

from __future__ import annotations

import json
from collections import Counter
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.render import cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taglane_scheduler.jobs_diff import Change

_NAMED = 3  # of many tenants that a diff is about
_FEW = 20  # changes that need no sum


def row(change: Change) -> dict[str, Any]:
    """Return a change as JSON has it; `job` is null where it is the tenant's limits that change."""
    return {"tenant": change.tenant, "job": change.job, "template": change.template, "change": change.change}


def show_lines(changes: Sequence[Change]) -> None:
    """Write a line for each change; of many, their sum to stderr, and no line for what stays as it is."""
    many = len(changes) > _FEW
    for each in changes:
        if each.is_any or not many:
            click.echo(f"{each.change:<9}  {each.subject}")
    if many:
        counted = Counter(each.change for each in changes)
        click.echo(", ".join(f"{count:,} {change}" for change, count in counted.items()), err=True)


def show_diff(changes: Iterable[Change], path: str) -> None:
    """Write what differs, as `diff -u` does; what differs alike for several tenants is one part."""
    alike: dict[tuple[str | None, str | None, tuple[str, ...]], list[Change]] = {}
    for each in changes:
        alike.setdefault((each.job, each.template, tuple(_lines(each))), []).append(each)
    for (_, _, lines), some in alike.items():
        for line in (*_head(some, path), *lines):
            click.secho(line, fg={"-": "red", "+": "green"}.get(line[:1]))


def _head(some: Sequence[Change], path: str) -> Iterator[str]:
    first = some[0]
    name = first.subject
    if len(some) > 1:
        named = ", ".join(each.tenant for each in some[:_NAMED])
        more = f" and {len(some) - _NAMED:,} more" if len(some) > _NAMED else ""
        name = f"{first.job or 'limits'} of {named}{more}"
    template = f", template {first.template}" if first.template else ""
    yield "--- /dev/null" if first.before is None else f"--- {name} (server)"
    yield "+++ /dev/null" if first.after is None else f"+++ {name} ({path}{template})"


def _lines(change: Change) -> list[str]:
    before, after = _fields(change.before), _fields(change.after)
    return list(unified_diff(before, after, n=1, lineterm=""))[2:]


def _fields(fields: Mapping[str, Any] | None) -> list[str]:
    return [
        f"{field}: {cell(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)}"
        for field, value in (fields or {}).items()
    ]
