"""Options that several commands share, and how the texts given to them are read."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

tenant_option: Callable[..., Any] = click.option(
    "-t", "--tenant", metavar="T", help="Whose; default: the tenant whose credential TAGLANE_URL holds."
)
yes_option: Callable[..., Any] = click.option("-y", "--yes", is_flag=True, help="Don't ask.")
no_console_option: Callable[..., Any] = click.option("--no-console", is_flag=True, help="Start no console.")
console_port_option: Callable[..., Any] = click.option(
    "--console-port",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
    help="Where the console listens, 0 for a free one [default: 7077 if it is free].",
)
params_option: Callable[..., Any] = click.option(
    "--params", metavar="JSON", help="The task's keyword arguments, a JSON object."
)


def make_sure(what: str, *, yes: bool) -> None:
    """Ask whether *what* is meant, as in ``this drops …``; where nobody is there to ask, it has to be said with -y."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{what}: say so with -y")
    click.confirm(f"{what[0].upper()}{what[1:]}. Go on?", abort=True, err=True)


def read_params(text: str | None) -> dict[str, Any] | None:
    """Return the params of an option, None when it was not given.

    Raises:
        BadParams: the text is not JSON, or not an object.
    """
    from taglane.errors import BadParams  # noqa: PLC0415 - not for the help
    from taglane.model.params import check_params  # noqa: PLC0415

    if text is None:
        return None
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadParams(f"params are not JSON: {error.msg} at character {error.pos + 1} of {_shown(text)}") from error
    except (ValueError, RecursionError) as error:
        raise BadParams(f"params are not JSON that can be read: {error}") from error
    if not isinstance(loaded, dict):
        raise BadParams(f'params must be a JSON object like {{"region": "eu"}}, not {_shown(text)}')
    return check_params(loaded)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
