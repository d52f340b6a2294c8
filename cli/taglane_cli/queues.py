"""`taglane queue`: what waits for each tag, and an end to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taglane_cli.options import make_sure, tenant_option, yes_option
from taglane_cli.render import instant, output_option, show_json, show_list

if TYPE_CHECKING:
    from taglane_cli.connection import Connection

_COLUMNS = ["tenant", "tag", "queued", "delayed", "parked", "waiting_since", "workers"]


@click.group()
def queue() -> None:
    """See what waits for each tag, and end it."""


@queue.command("list")
@tenant_option
@output_option
@click.pass_obj
def list_(connection: Connection, tenant: str | None, output: str) -> None:
    """List the tags for which something waits or a worker is there, of one tenant or of all.

    DELAYED runs wait for their time, PARKED ones until the run of their job before them has ended. WAITING SINCE is
    of the run that is to be served next.
    """
    from taglane.model.names import SHARED, owner_of  # noqa: PLC0415 - not for the help

    owner = connection.tenant(tenant) if tenant else connection.own_tenant
    rows, unserved = [], []
    for each in connection.queues.list(owner):
        row = {
            "tenant": each.tenant,
            "tag": each.tag,
            "queued": each.queued,
            "delayed": each.delayed,
            "parked": each.parked,
            "waiting_since": instant(each.since),
            "workers": each.workers if output == "json" or each.workers else "none",
        }
        if owner_of(each.tag) == SHARED:
            row["workers"] = None  # they are the operator's, and no tenant's to see
        elif not each.workers:
            unserved.append(each.tag)
        rows.append(row)
    show_list(rows, _COLUMNS, output, empty="nothing waits, and no worker is there:  taglane worker --tag TAG")
    for tag in unserved:
        connection.say_missing_worker(tag)


@queue.command()
@click.argument("tag")
@click.option(
    "--target",
    default="30s",
    show_default=True,
    metavar="DURATION",
    help="Within what time that which waits is to be begun.",
)
@output_option
@click.pass_obj
def scale(connection: Connection, tag: str, target: str, output: str) -> None:
    """Say how many slots the workers of a tag should have now, for an autoscaler.

    So many that what waits is begun in time, by what the tenant's runs took of late: never fewer than execute now, and
    none when there is nothing to do. It takes the operator's credential.
    """
    from dataclasses import asdict  # noqa: PLC0415 - not for the help

    from taglane.model.duration import parse_duration  # noqa: PLC0415

    try:
        seconds = parse_duration(target) / 1000
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--target") from error
    row = asdict(connection.services.scale.of(tag, seconds))
    show_list([row], [*row], output, empty="") if output != "json" else show_json(row)


@queue.command()
@click.argument("tag")
@click.option("-t", "--tenant", metavar="T", help="Whose; default: the tenant that the tag names.")
@click.option("--delayed", is_flag=True, help="What waits for its time, too: delayed runs and retries.")
@yes_option
@output_option
@click.pass_obj
def purge(  # noqa: PLR0913 - one for each option
    connection: Connection, tag: str, *, tenant: str | None, delayed: bool, yes: bool, output: str
) -> None:
    """End, as cancelled, all that is queued for a tag. What workers execute goes on.

    Runs that are parked behind one that is purged are purged, too; those that are parked behind one that goes on stay.
    """
    from taglane.model.names import SHARED, check_tag, owner_of, tag_for  # noqa: PLC0415 - not for the help

    named = owner_of(check_tag(tag))
    owner = connection.tenant(tenant if tenant or named == SHARED else named)
    tag_for(owner, tag)
    make_sure(f"this cancels all that is queued for {tag} of {owner}, and what is parked behind it", yes=yes)
    count = connection.queues.purge(owner, tag, delayed=delayed)
    connection.note("purge", owner, tag=tag, runs=count)
    if output == "json":
        show_json({"tenant": owner, "tag": tag, "purged": count})
    else:
        click.echo(f"purged {count} runs of tag {tag}")
