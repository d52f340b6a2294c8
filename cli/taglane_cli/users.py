"""`taglane user`: who may log in to the console."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.options import make_sure, yes_option
from taglane_cli.render import instant, output_option, show_list, show_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane_scheduler.access.people import Person

    from taglane_cli.connection import Connection

role_option: Callable[..., Any] = click.option(
    "--role", type=click.Choice(["read", "operate", "write", "admin"]), required=True, help="What they may do."
)
whose_option: Callable[..., Any] = click.option("-t", "--tenant", metavar="T", help="The only tenant that it sees.")
all_option: Callable[..., Any] = click.option("--all", "every", is_flag=True, help="It sees all tenants.")
_password_option = click.option(
    "--password-file",
    type=click.File("r"),
    metavar="FILE",
    help="Where the password is, in the first line; - is stdin [default: it is asked for].",
)


def reach(connection: Connection, tenant: str | None, every: bool) -> str | None:
    """Return the tenant that somebody is to see, None for all: one of the two has to be said."""
    if bool(tenant) == every:
        raise click.UsageError("Say either --tenant T, the only one that it sees, or --all.")
    if tenant:
        connection.check_tenants([tenant])
    return tenant or None


@click.group()
def user() -> None:
    """Say who may log in to the console."""


@user.command()
@click.argument("name")
@role_option
@whose_option
@all_option
@_password_option
@output_option
@click.pass_obj
def add(  # noqa: PLR0913 - one for each option
    connection: Connection, *, name: str, role: str, tenant: str | None, every: bool, password_file: Any, output: str
) -> None:
    """Let somebody log in."""
    seen = reach(connection, tenant, every)
    made = connection.access.people.add(name, _password(password_file), role, seen)
    connection.services.audit.note("user-add", seen or "", user=made.name, role=made.role)
    show_one(_row(made), output)


@user.command("list")
@output_option
@click.pass_obj
def list_(connection: Connection, output: str) -> None:
    """List who may log in."""
    rows = [_row(each) for each in connection.access.people.list()]
    columns = ["name", "role", "tenant", "created"]
    show_list(rows, columns, output, empty="nobody yet:  taglane user add NAME --role admin --all")


@user.command()
@click.argument("name")
@role_option
@output_option
@click.pass_obj
def role(connection: Connection, name: str, role: str, output: str) -> None:
    """Give somebody another role; their logins end."""
    changed = connection.access.people.change_role(name, role)
    connection.services.audit.note("user-role", changed.tenant or "", user=changed.name, role=changed.role)
    show_one(_row(changed), output)


@user.command()
@click.argument("name")
@_password_option
@click.pass_obj
def password(connection: Connection, name: str, password_file: Any) -> None:
    """Give somebody another password; their logins end."""
    connection.access.people.get(name)
    changed = connection.access.people.change_password(name, _password(password_file))
    connection.services.audit.note("user-password", changed.tenant or "", user=changed.name)
    click.echo(f"changed the password of {changed.name}, whose logins are over")


@user.command()
@click.argument("name")
@yes_option
@click.pass_obj
def delete(connection: Connection, name: str, yes: bool) -> None:
    """Let somebody in no more; their logins and own keys end."""
    found = connection.access.people.get(name)
    make_sure(f"this deletes {name}", yes=yes)
    connection.access.people.delete(name)
    connection.services.audit.note("user-delete", found.tenant or "", user=name)
    click.echo(f"deleted {name}")


def _password(file: Any) -> str:
    if file is not None:
        return str(file.readline().rstrip("\r\n"))
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to type the password: say where it is with --password-file")
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


def _row(person: Person) -> dict[str, Any]:
    return {"name": person.name, "role": person.role, "tenant": person.tenant, "created": instant(person.created)}
