"""The `taglane` command: its root group, which alone knows exit codes and how an error is told."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import click
from taglane import errors

from taglane_cli.lazy import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, FAILED, USAGE, NOT_FOUND, REFUSED, CONFLICT, OVER_LIMIT = range(7)
UNAVAILABLE, TIMED_OUT, INTERRUPTED = 69, 75, 130

_CODES: tuple[tuple[type[errors.TaglaneError], int], ...] = (
    (errors.CallerError, USAGE),
    (errors.NotFound, NOT_FOUND),
    (errors.Refused, REFUSED),
    (errors.Conflict, CONFLICT),
    (errors.OverLimit, OVER_LIMIT),
    (errors.ServerUnavailable, UNAVAILABLE),
    (errors.RunTimeout, TIMED_OUT),
)

_COMMANDS = (
    ("demo", "taglane_cli.demo:demo", "Run three tenants' jobs on tagged workers, and check each fire."),
    ("dev", "taglane_cli.dev:dev", "Start a server, a scheduler and a console to develop against."),
    ("tenant", "taglane_cli.tenants:tenant", "Create, limit, pause, export and delete tenants."),
    ("job", "taglane_cli.jobs:job", "Add jobs, see when they are due, pause and trigger them."),
    ("apply", "taglane_cli.apply:apply", "Make the server's jobs and limits those of a jobs file."),
    ("diff", "taglane_cli.apply:diff", "Show what apply would change; exit 1 when that is anything."),
    ("export", "taglane_cli.export:export_jobs", "Print the jobs and limits of tenants as a jobs file."),
    ("enqueue", "taglane_cli.enqueue:enqueue", "Run a task once, now or later."),
    ("run", "taglane_cli.runs:run", "List runs, wait for them, cancel them, run them again."),
    ("queue", "taglane_cli.queues:queue", "See what waits for each tag, and end it."),
    ("top", "taglane_cli.top:top", "Watch all tenants on one screen, what needs attention first."),
    ("dead", "taglane_cli.dead:dead", "List dead letters, run them again, drop them."),
    ("workers", "taglane_cli.workers:workers", "List the workers and what they serve, or drain one."),
    ("pools", "taglane_cli.pools:pools", "List the shared pools."),
    ("usage", "taglane_cli.usage:usage", "Show what tenants used: runs, fires, workers' seconds, waits."),
    ("worker", "taglane_cli.serve:worker", "Start a worker that takes the runs of its tags."),
    ("scheduler", "taglane_cli.serve:scheduler", "Start a scheduler; any number may run at once."),
    ("console", "taglane_cli.console:console", "Start the console and the REST API, for all tenants."),
    ("user", "taglane_cli.users:user", "Say who may log in to the console."),
    ("key", "taglane_cli.keys:key", "Make, list and revoke keys of the REST API."),
    ("alerts", "taglane_cli.alerts:alerts", "List what is wrong now, and since when."),
    ("alert", "taglane_cli.alert:alert", "Say who is told of what goes wrong, and when."),
    ("audit", "taglane_cli.audit:audit", "Show who did what to which tenant, and what the server refused."),
    ("doctor", "taglane_cli.doctor:doctor", "Check the server, the schedulers and the workers."),
)

_EPILOG = """\b
Exit codes: 0 ok, 1 the thing failed, 2 usage or bad input, 3 not found, 4 refused, 5 conflict,
6 over a limit, 69 no server, 75 timed out, 130 interrupted. Data goes to stdout, all else to stderr."""


class Root(LazyGroup):
    """Calls a command, and turns whatever comes out of it into one line and an exit code."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> NoReturn:
        """Run the command line and exit: no traceback reaches a user who has not asked for it."""
        extra["standalone_mode"] = False
        try:
            code = super().main(args, **extra)  # what `ctx.exit(code)` was given, or what the command returned
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except (click.Abort, KeyboardInterrupt):
            code = INTERRUPTED
        except errors.TaglaneError as error:
            code = _tell(error)
        except Exception as error:  # noqa: BLE001 - the last stop before the user
            code = _tell(_renamed(error))
        sys.exit(code if isinstance(code, int) else OK)


def _tell(error: Exception) -> int:
    """Say what went wrong in one line, and return the exit code."""
    if os.environ.get("TAGLANE_DEBUG") == "1":
        traceback.print_exception(error)
    text = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if isinstance(error, errors.TaglaneError):
        click.echo(f"error: {text}", err=True)
        return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
    click.echo(f"error: {type(error).__name__}: {text} (set TAGLANE_DEBUG=1 for the traceback)", err=True)
    return FAILED


def _renamed(error: Exception) -> Exception:
    """Return ours for an error of redis-py that no store has renamed."""
    if type(error).__module__.partition(".")[0] != "redis":
        return error
    from taglane.store.server import rename  # noqa: PLC0415 - redis is loaded by now; at the top it would always be

    return rename(error, "the command", os.environ.get("TAGLANE_URL", ""))


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version  # noqa: PLC0415 - 20 ms that only this needs

        click.echo(f"taglane {version('taglane')}")
        ctx.exit()


@click.group(cls=Root, lazy=_COMMANDS, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show it.")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Schedule jobs of many tenants, and route each to its own workers.

    TAGLANE_URL says where the server is, with the operator's credential or a tenant's own.
    """
    from taglane_cli.connection import Connection  # noqa: PLC0415 - not for the help

    ctx.obj = ctx.with_resource(Connection())


def main() -> NoReturn:
    """Run `taglane` with the arguments of the process."""
    cli.main(prog_name="taglane")


if __name__ == "__main__":
    main()
