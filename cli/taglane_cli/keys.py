"""`taglane key`: the keys of the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taglane_cli.render import instant, output_option, show_list, show_one
from taglane_cli.users import all_option, reach, whose_option

if TYPE_CHECKING:
    from taglane_scheduler.access.api_keys import ApiKey

    from taglane_cli.connection import Connection


@click.group()
def key() -> None:
    """Make, list and revoke keys of the REST API."""


@key.command()
@whose_option
@all_option
@click.option(
    "--scope",
    "--role",
    type=click.Choice(["read", "operate", "write", "admin"]),
    default="read",
    show_default=True,
    help="What it may do.",
)
@click.option("--name", default="", help="What it is for.")
@click.option("--expires", metavar="DURATION", help="It opens for so long, as in 90d [default: until it is revoked].")
@output_option
@click.pass_obj
def create(  # noqa: PLR0913 - one for each option
    connection: Connection, *, tenant: str | None, every: bool, scope: str, name: str, expires: str | None, output: str
) -> None:
    """Make a key, and print it: it is shown this once, and kept nowhere."""
    seen = reach(connection, tenant, every)
    secret, made = connection.access.api_keys.create(scope, seen, name=name, by="operator", lasts=_lasts(expires))
    connection.services.audit.note("key-create", seen or "", key=made.id, scope=made.role)
    show_one({"key": secret, **_row(made)}, output)
    if output != "json":
        click.echo("keep the key, it is not shown again; requests bring it:  Authorization: Bearer KEY", err=True)


@key.command("list")
@whose_option
@output_option
@click.pass_obj
def list_(connection: Connection, tenant: str | None, output: str) -> None:
    """List keys: all, or those of one tenant."""
    from taglane_scheduler.access.api_keys import PAGE, place  # noqa: PLC0415 - not for the help

    found: list[ApiKey] = []
    while page := connection.access.api_keys.list(tenant, every=not tenant, after=place(found[-1]) if found else ""):
        found += page
        if len(page) < PAGE:
            break
    columns = ["id", "name", "scope", "tenant", "expires", "used"]
    show_list([_row(each) for each in found], columns, output, empty="no key yet:  taglane key create --tenant T")


@key.command()
@click.argument("key_id", metavar="ID")
@output_option
@click.pass_obj
def revoke(connection: Connection, key_id: str, output: str) -> None:
    """Let a key open nothing any more, from now on."""
    gone = connection.access.api_keys.revoke(key_id)
    connection.services.audit.note("key-revoke", gone.tenant or "", key=gone.id)
    if output == "json":
        show_one({"id": gone.id, "revoked": True}, output)
    else:
        click.echo(f"revoked key {gone.id}")


def _row(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.role,
        "tenant": key.tenant,
        "by": key.by,
        "created": instant(key.created),
        "expires": instant(key.expires),
        "used": instant(key.used),
    }


def _lasts(text: str | None) -> int | None:
    from taglane.model.duration import parse_duration  # noqa: PLC0415 - not for the help

    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--expires'") from error
