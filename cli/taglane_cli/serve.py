"""`taglane worker` and `taglane scheduler`: the processes that run until they are stopped."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from taglane_cli.connection import Connection

_LEVELS = click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False)

_health = click.option(
    "--health",
    metavar="HOST:PORT",
    help="Answer GET /livez, /readyz, /metrics there; PORT alone: on the loopback interface [default: TAGLANE_HEALTH].",
)


@click.command()
@click.option(
    "--tag", "tags", multiple=True, required=True, metavar="TAG", help="Whose runs it takes; may be repeated."
)
@click.option("-A", "--app", metavar="MODULE", help="The Celery application, or a module that declares tasks.")
@click.option(
    "-c",
    "--concurrency",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Runs at once; more where they wait [default: cores].",
)
@click.option(
    "-P",
    "--pool",
    type=click.Choice(["auto", "prefork", "threads", "solo"]),
    default="auto",
    show_default=True,
    help="auto: a process for each run; prefork: the same, for time limits; threads: for tasks that wait for others.",
)
@_health
@click.option("-l", "--loglevel", type=_LEVELS, default="INFO", show_default=True)
@click.pass_context
def worker(  # noqa: PLR0913 - one for each option
    ctx: click.Context,
    *,
    tags: tuple[str, ...],
    app: str | None,
    concurrency: int | None,
    pool: str,
    health: str | None,
    loglevel: str,
) -> None:
    """Start a worker that takes the runs of its tags.

    And no others. It runs until it is stopped.
    """
    from taglane.model.names import check_tag  # noqa: PLC0415 - not for the help

    for tag in tags:
        check_tag(tag)
    from taglane.runtime.worker import run_worker  # noqa: PLC0415

    ctx.exit(run_worker(tags, app, concurrency=concurrency, pool=pool, loglevel=loglevel.upper(), health=health))


@click.command()
@_health
@click.option("-l", "--loglevel", type=_LEVELS, default="INFO", show_default=True)
@click.pass_obj
def scheduler(connection: Connection, health: str | None, loglevel: str) -> None:
    """Start a scheduler; any number may run at once.

    It fires what is due, and takes over from workers that died. It takes the operator's credential.
    """
    from taglane_scheduler.process import FORMAT, run_scheduler  # noqa: PLC0415 - not for the help

    logging.basicConfig(level=loglevel.upper(), format=FORMAT)
    run_scheduler(connection.services, ready=lambda: logging.getLogger(__name__).info("scheduler_ready"), health=health)
