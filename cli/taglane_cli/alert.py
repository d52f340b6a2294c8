"""`taglane alert`: who is told of what goes wrong, and when. With the operator's credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taglane_cli.render import cell, instant, output_option, show_json, show_list, show_one

if TYPE_CHECKING:
    from taglane_scheduler.alerting.channels import Channel
    from taglane_scheduler.alerting.outbox import Delivery
    from taglane_scheduler.alerting.rules import AlertRule
    from taglane_scheduler.alerting.silences import Silence

    from taglane_cli.connection import Connection

_owner = click.option("--owner", metavar="T", default="", help="A tenant's own [default: the operator's].")
_count = click.option("-n", "--count", type=click.IntRange(1, 1_000), default=20, show_default=True, help="The last N.")


@click.group()
def alert() -> None:
    """Say who is told of what goes wrong, and when.

    A rule says of what; a channel, to whom. Schedulers send. What is wrong now is in `taglane alerts`.
    """


@alert.group()
def rule() -> None:
    """Say of what somebody is told."""


@rule.command("add")
@click.argument("name")
@click.option("--on", required=True, metavar="KIND", help="What it is about; see above.")
@click.option("-c", "--channel", "channels", multiple=True, required=True, metavar="C", help="Whom to tell; repeat it.")
@click.option("-t", "--tenant", metavar="T", help="About this tenant [default: about each].")
@click.option("--job", metavar="J", help="A job, report* or *, each counted for itself [default: all runs together].")
@click.option("--tag", metavar="TAG", help="A tag [default: each of the tenant's].")
@click.option("--threshold", type=int, metavar="N", help="How many.")
@click.option("--window", metavar="DURATION", help="Within which so many count, like 10m.")
@click.option("--in-a-row", is_flag=True, default=None, help="Of failed: the last N runs of a job, N at least 3.")
@click.option("--after", metavar="DURATION", help="For how long it must be so.")
@click.option(
    "--silence", metavar="DURATION", help="Between two messages about the same thing, at least [default: 10m]."
)
@click.option("--recovered/--no-recovered", default=None, help="Say when it is over [default: yes].")
@click.option("--enabled/--disabled", default=None, help="[default: enabled]")
@_owner
@output_option
@click.pass_obj
def add_rule(connection: Connection, /, name: str, output: str, **given: Any) -> None:
    """Add a rule, or change the one of that name.

    \b
    failed         runs that failed, expired or died: --threshold within --window, or --in-a-row of a --job
    dead_letter    runs that were given up: --threshold within --window
    missed         due instants that were passed over: --threshold within --window
    late           a job is due for longer than --after, and was not fired
    queue_older    the first run of a queue waits for longer than --after
    queue_longer   more than --threshold runs wait in a queue
    over_limit     the tenant is at its limit, and runs wait, for longer than --after
    no_worker      runs wait for a tag that no living worker serves
    connections, bandwidth, memory, tenant_cut     what the watchdog finds
    alert_channel  a channel takes no messages; tell another one
    """  # noqa: D301 - click knows a block that it must not wrap by this very character
    from taglane_scheduler.alerting.rules import make_rule  # noqa: PLC0415 - not for the help

    fields = {field: value for field, value in given.items() if value not in (None, "")}
    made = make_rule(**fields | {"name": name, "channels": list(given["channels"])})
    connection.check_tenants({tenant for tenant in (made.owner, made.tenant) if tenant not in ("", "*")})
    connection.services.alerting.rules.put(made)
    connection.note("alert-rule", _about(made.tenant), rule=made.id, on=made.says)
    show_one(_rule_row(made), output)


@rule.command("list")
@click.option("--owner", metavar="T", help="A tenant's own [default: all].")
@output_option
@click.pass_obj
def list_rules(connection: Connection, owner: str | None, output: str) -> None:
    """List the rules."""
    rows = [_rule_row(each) for each in connection.services.alerting.rules.list(owner)]
    columns = ["name", "owner", "tenant", "job", "tag", "says", "channels", "enabled"]
    show_list(rows, columns, output, empty="no rules: nobody is told of anything")


@rule.command("show")
@click.argument("name")
@_owner
@output_option
@click.pass_obj
def show_rule(connection: Connection, name: str, owner: str, output: str) -> None:
    """Show a rule with all its fields."""
    show_one(_rule_row(connection.services.alerting.rules.get(name, owner)), output)


@rule.command("delete")
@click.argument("name")
@_owner
@click.pass_obj
def delete_rule(connection: Connection, name: str, owner: str) -> None:
    """Delete a rule. What it has told of, and still is so, is told as over."""
    connection.services.alerting.rules.delete(name, owner)
    connection.note("alert-rule-delete", owner, rule=f"{owner}/{name}")
    click.echo(f"deleted rule {name}")


@alert.group()
def channel() -> None:
    """Say where messages go."""


@channel.command("add")
@click.argument("name")
@click.option("--kind", required=True, type=click.Choice(["webhook", "mail", "apprise"]))
@click.option("--url", metavar="URL", help="Of a webhook.")
@click.option(
    "--url-file", type=click.File(), metavar="FILE", help="A file with the URL, - for stdin: it may be secret."
)
@click.option(
    "--secret-file",
    type=click.File(),
    metavar="FILE",
    help="What a webhook's messages are signed with [default: made].",
)
@click.option("--to", multiple=True, metavar="ADDRESS", help="Of mail; may be repeated.")
@_owner
@output_option
@click.pass_obj
def add_channel(connection: Connection, /, name: str, output: str, **given: Any) -> None:
    """Add a channel, or change the one of that name. A secret that is made is shown now, and never again."""
    from taglane_scheduler.alerting.channels import make_channel  # noqa: PLC0415 - not for the help

    if given["url"] and given["url_file"]:
        raise click.UsageError("--url and --url-file say the same: give one of them")
    url = given["url"] or _first_line(given["url_file"])
    secret = _first_line(given["secret_file"])
    fields: dict[str, Any] = {"url": url, "secret": secret, "to": list(given["to"]), "owner": given["owner"]}
    made = make_channel(name=name, kind=given["kind"], **{field: value for field, value in fields.items() if value})
    connection.check_tenants([made.owner] if made.owner else [])
    alerting = connection.services.alerting
    alerting.channels.put(made)
    alerting.outbox.hurry(made.id)
    connection.note("alert-channel", made.owner, channel=made.id, kind=made.kind, target=made.target)
    row = _channel_row(made)
    if made.secret and not secret:
        row["secret"] = made.secret
    show_one(row, output)


@channel.command("list")
@click.option("--owner", metavar="T", help="A tenant's own [default: all].")
@output_option
@click.pass_obj
def list_channels(connection: Connection, owner: str | None, output: str) -> None:
    """List the channels, without their secrets."""
    rows = [_channel_row(each) for each in connection.services.alerting.channels.list(owner)]
    show_list(rows, ["name", "owner", "kind", "target"], output, empty="no channels")


@channel.command("delete")
@click.argument("name")
@_owner
@click.pass_obj
def delete_channel(connection: Connection, name: str, owner: str) -> None:
    """Delete a channel, with its secret, and what waits for it; no rule may use it any more."""
    alerting = connection.services.alerting
    found = alerting.channels.get(name, owner)
    alerting.rules.require_unused(name, owner)
    alerting.channels.delete(name, owner)
    alerting.outbox.forget(found.id)
    connection.note("alert-channel-delete", owner, channel=found.id)
    click.echo(f"deleted channel {name}")


@channel.command("test")
@click.argument("name")
@_owner
@output_option
@click.pass_context
def test_channel(ctx: click.Context, name: str, owner: str, output: str) -> None:
    """Send a real message, from here and now, and say what came back; exit 1 when it was not taken."""
    connection: Connection = ctx.obj
    outcome = connection.services.alerting.courier.test(name, owner)
    connection.note("alert-channel-test", owner, channel=f"{owner}/{name}", taken=str(outcome.ok).lower())
    show_one({"channel": name, "taken": outcome.ok, "answer": outcome.answer}, output)
    ctx.exit(0 if outcome.ok else 1)


@alert.group()
def silence() -> None:
    """Tell nobody for a while, as while something is repaired."""


@silence.command("add")
@click.option("--for", "duration", required=True, metavar="DURATION", help="For how long, like 2h.")
@click.option("-t", "--tenant", metavar="T", help="About this tenant [default: about any].")
@click.option("--rule", default="", metavar="R", help="By this rule [default: by any].")
@click.option("--why", default="", metavar="TEXT", help="For those who wonder.")
@_owner
@output_option
@click.pass_obj
def add_silence(  # noqa: PLR0913 - one for each option
    connection: Connection, *, duration: str, tenant: str | None, rule: str, why: str, owner: str, output: str
) -> None:
    """Tell nobody from now on. What is wrong still when it ends is told then; what is over is told at once."""
    from taglane.model.duration import parse_duration  # noqa: PLC0415 - not for the help

    try:
        milliseconds = parse_duration(duration, minimum=1)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--for'") from error
    about = tenant or owner or "*"
    connection.check_tenants({name for name in (about, owner) if name not in ("", "*")})
    alerting = connection.services.alerting
    if rule:
        alerting.rules.get(rule, owner)
    made = alerting.silences.put(milliseconds, tenant=about, rule=rule, why=why, owner=owner)
    connection.note("alert-silence", _about(about), silence=made.name, rule=rule or "*", **{"for": duration})
    show_one(_silence_row(made), output)


@silence.command("list")
@click.option("--owner", metavar="T", help="A tenant's own [default: all].")
@output_option
@click.pass_obj
def list_silences(connection: Connection, owner: str | None, output: str) -> None:
    """List the silences that last."""
    rows = [_silence_row(each) for each in connection.services.alerting.silences.list(owner)]
    show_list(rows, ["id", "owner", "tenant", "rule", "until", "why"], output, empty="no silences")


@silence.command("end")
@click.argument("name", metavar="ID")
@_owner
@click.pass_obj
def end_silence(connection: Connection, name: str, owner: str) -> None:
    """End a silence before its time."""
    connection.services.alerting.silences.delete(name, owner)
    connection.note("alert-silence-end", owner, silence=name)
    click.echo(f"ended silence {name}")


@alert.command()
@click.option("-t", "--tenant", metavar="T", help="About this tenant only.")
@output_option
@click.pass_obj
def incidents(connection: Connection, tenant: str | None, output: str) -> None:
    """List what rules find wrong now, and what was told of it."""
    if tenant:
        connection.check_tenants([tenant])
    found = [incident for incident, _ in connection.services.alerting.outbox.incidents().values()]
    rows = [
        {
            "id": each.id,
            "rule": each.rule.removeprefix("/"),
            "tenant": each.tenant,
            "subject": each.subject,
            "since": instant(each.since),
            "told": instant(each.told or None),
            "count": each.count,
            "text": each.text,
            "command": each.command,
        }
        for each in sorted(found, key=lambda each: (each.since, each.id))
        if each.state == "firing" and tenant in (None, each.tenant)
    ]
    if output == "json":
        show_json(rows)
        return
    show_list(rows, ["rule", "tenant", "subject", "since", "told", "count"], output, empty="no incidents")
    for row in rows:
        click.echo(f"{row['tenant'] or '-'}: {cell(row['text'])}:  {cell(row['command'])}")


@alert.command()
@_count
@click.option("--owner", metavar="T", help="By a tenant's own channels [default: by all].")
@output_option
@click.pass_obj
def deliveries(connection: Connection, count: int, owner: str | None, output: str) -> None:
    """List what waits to be sent, one message a channel, and what became of the last messages."""
    rows = [_delivery_row(each) for each in connection.services.alerting.outbox.deliveries(count, owner=owner)]
    show_list(rows, ["at", "channel", "outcome", "tries", "text", "answer"], output, empty="nothing was sent")


def _first_line(file: Any) -> str:
    return "" if file is None else str(file.readline(4_096)).strip()


def _about(tenant: str) -> str:
    """Return the tenant as the audit log names it: empty for all."""
    return "" if tenant == "*" else tenant


def _rule_row(rule: AlertRule) -> dict[str, Any]:
    from taglane.model.duration import format_duration  # noqa: PLC0415 - not for the help

    durations = {field: getattr(rule, field) for field in ("window", "after", "silence")}
    told = {field: None if value is None else format_duration(value) for field, value in durations.items()}
    row: dict[str, Any] = {"name": rule.name, "owner": rule.owner or None, "on": rule.on, "says": rule.says}
    row |= {"tenant": rule.tenant, "job": rule.job or None, "tag": rule.tag or None}
    row |= {"threshold": rule.threshold, "in_a_row": rule.in_a_row, **told, "recovered": rule.recovered}
    return row | {"channels": rule.channels, "enabled": rule.enabled}


def _channel_row(channel: Channel) -> dict[str, Any]:
    return channel.shown | {"owner": channel.owner or None}


def _silence_row(silence: Silence) -> dict[str, Any]:
    row: dict[str, Any] = {"id": silence.name, "owner": silence.owner or None, "tenant": silence.tenant}
    row |= {"rule": silence.rule or None, "since": instant(silence.since), "until": instant(silence.until)}
    return row | {"why": silence.why}


def _delivery_row(delivery: Delivery) -> dict[str, Any]:
    row: dict[str, Any] = {"id": delivery.id, "channel": delivery.channel.removeprefix("/")}
    row |= {"at": instant(delivery.at), "outcome": delivery.outcome, "tries": delivery.tries}
    return row | {"answer": delivery.answer, "text": delivery.message.get("text")}
