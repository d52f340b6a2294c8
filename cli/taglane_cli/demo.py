"""`taglane demo`: three tenants' jobs on a server of its own, shown while they run and checked when they have."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

import click

from taglane_cli.options import console_port_option, no_console_option
from taglane_cli.render import cell, show_list

if TYPE_CHECKING:
    from taglane.model.job import Job
    from taglane.model.run import RunInfo
    from taglane_scheduler.services import Services

    from taglane_cli.demo_shop import Shop
    from taglane_cli.stack import Stack

STAFFED = ("tenant_a", "tenant_b")
UNSTAFFED = "tenant_c"
TENANTS = (*STAFFED, UNSTAFFED)
PROCESSES = 2  # of each worker
REFRESH = 0.2  # seconds between two looks at the runs
SETTLE_SECONDS = 30.0  # that the last runs may take to end
LATE_MS = 5_000  # a due instant that has passed by so much, and was not fired, is a failure of the schedule
NEWEST = 200  # runs of a tenant that one look reads; the verdict reads all
ALL = 1_000_000

_COLORS = {"succeeded": "green", "skipped": "yellow", "queued": "yellow", "running": "cyan"}


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(1, 86_400),
    default=20,
    show_default=True,
    envvar="DEMO_SECONDS",
    show_envvar=True,
    help="How long the jobs fire.",
)
@click.option(
    "--app-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the sample application is [default: tests/apps of the repository].",
)
@console_port_option
@no_console_option
@click.pass_context
def demo(ctx: click.Context, seconds: float, app_dir: Path | None, console_port: int | None, no_console: bool) -> None:
    """Run three tenants' jobs on tagged workers, and check each fire.

    Starts a server of its own, unless TAGLANE_URL names one. Exit 0 only if each fire ran exactly once, on a worker of
    its own tenant and tag, and returned what it should.
    """
    from taglane_cli.demo_shop import Shop, find_applications  # noqa: PLC0415 - not for the help
    from taglane_cli.stack import Stack, ended_by_sigterm, has_console  # noqa: PLC0415

    console = has_console() and not no_console
    applications = find_applications(app_dir)
    with ended_by_sigterm(), TemporaryDirectory(prefix="taglane-demo-") as home:
        shop = Shop(applications, Path(home) / "data")
        with (
            Stack(Path(home), os.environ.get("TAGLANE_URL")) as stack,
            Demo(stack, shop, console=console, console_port=console_port) as show,
        ):
            show.prepare()
            show.watch(seconds)
            show.settle()
            found = show.judge()
    ctx.exit(1 if found else 0)


class Demo:
    """One demo on a stack that is up, with a console or without one.

    Leaving the block stops the workers, and deletes the tenants that it made.
    """

    def __init__(self, stack: Stack, shop: Shop, *, console: bool = False, console_port: int | None = None) -> None:
        self._stack, self._shop, self._console, self._console_port = stack, shop, console, console_port
        self._urls: dict[str, str] = {}
        self._tags_of: dict[str, tuple[str, ...]] = {}
        self._told: dict[str, str] = {}  # run -> the state that was shown
        self._jobs: list[Job] = []
        self._wrong: list[str] = []

    def __enter__(self) -> Self:
        from taglane.settings import load_settings  # noqa: PLC0415 - not for the help
        from taglane.store.runs import Runs  # noqa: PLC0415
        from taglane.store.workers import Workers  # noqa: PLC0415
        from taglane_scheduler.services import build  # noqa: PLC0415

        self._services: Services = build(load_settings(url=self._stack.url))
        self._runs, self._workers = Runs(self._services.server), Workers(self._services.server)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.stop_processes()
        for tenant in self._urls:
            self._services.tenants.delete(tenant)
        self._services.close()

    def prepare(self) -> None:
        """Create the tenants, start a scheduler and the workers, apply the jobs file: as a user would."""
        from taglane.store.server import address_of  # noqa: PLC0415 - not for the help

        _say("server", f"{self._stack.server_name}, at {address_of(self._stack.url)}")
        for tenant in TENANTS:
            self._urls[tenant] = self._services.tenants.create(tenant).url
        _say("tenants", f"{', '.join(TENANTS)}: each with its own credential")
        self._shop.seed(TENANTS)
        self._stack.start_scheduler()
        _say("scheduler", "taglane scheduler")
        if self._console:
            _say("console", self._stack.start_console(self._console_port))
        names = [self._start_worker(tenant) for tenant in STAFFED]
        for tenant, name in zip(STAFFED, names, strict=True):
            self._stack.wait_until(partial(self._is_staffed, tenant), name)
            _say("worker", f"taglane worker --tag {tenant} -A shop.celery -c {PROCESSES}")
        said = self._stack.run("apply", "-f", str(self._shop.jobs_file))
        self._jobs = [stored.job for tenant in TENANTS for stored in self._services.jobs.list(tenant)]
        _say("jobs", f"taglane apply -f {self._shop.jobs_file.name}: {len(said.splitlines())} created")
        _say("fence", self._try_the_fence())

    def watch(self, seconds: float) -> None:
        """Show for so long what runs where."""
        click.echo(f"\n{'TIME (UTC)':<12}  {'TENANT':<8}  {'JOB':<7}  {'STATE':<9}  WORKER")
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(REFRESH, left))
            self._stack.check()
            self._show_news()

    def settle(self) -> None:
        """Pause every job, and wait until what has begun has ended."""
        for job in self._jobs:
            stored = self._services.jobs.get(job.tenant, job.name)
            self._services.jobs.pause(job.tenant, job.name)
            now = time.time_ns() // 1_000_000
            if stored.next_due is None or stored.next_due < now - LATE_MS:
                self._wrong.append(f"{job.tenant}/{job.name} was not fired at {stored.next_due}")
        give_up = time.monotonic() + SETTLE_SECONDS
        while any(not run.is_ended for run in self._read(ALL) if run.tag in STAFFED) and time.monotonic() < give_up:
            self._stack.check()
            time.sleep(REFRESH)
        self._show_news()

    def judge(self) -> list[str]:
        """Show the table and the verdict; return what was wrong."""
        from taglane_cli import demo_report  # noqa: PLC0415 - not for the help

        runs = self._read(ALL)
        click.echo()
        show_list(demo_report.rows(self._jobs, runs), demo_report.COLUMNS, "text", empty="no job")
        click.echo()
        found = self._wrong + demo_report.problems(self._jobs, runs, self._tags_of, staffed=STAFFED)
        found += self._shop.wrong_results(self._jobs, runs)
        for problem in found:
            click.echo(f"{click.style('wrong', fg='red')}  {cell(problem)}")
        if not found:
            served = sum(run.tag in STAFFED for run in runs)
            good = click.style("right", fg="green")
            click.echo(f"{good}  {served} fires: each due instant has one run, and each ran once, in one attempt")
            click.echo(f"{good}  each ran on a worker of its own tenant's tag")
            click.echo(f"{good}  {served} results are what the application's functions return here")
        for tag, count in demo_report.waiting_tags(runs, staffed=STAFFED).items():
            waits = click.style("waits", fg="yellow")
            click.echo(f"{waits}  {count} run of {tag}: no worker serves its tag. Start one:")
            click.echo(f"         taglane worker --tag {tag} -A shop.celery")
        return found

    def _start_worker(self, tenant: str) -> str:
        from taglane_cli.demo_shop import APP  # noqa: PLC0415 - not for the help

        return self._stack.start_worker(
            tenant, self._urls[tenant], APP, concurrency=PROCESSES, environment=self._shop.environment
        )

    def _is_staffed(self, tag: str) -> bool:
        return len(self._workers.serving(tag, within=self._services.settings.lease)) == PROCESSES

    def _try_the_fence(self) -> str:
        """Ask for a run of one tenant with another's credential."""
        from taglane.errors import Refused  # noqa: PLC0415 - not for the help
        from taglane.store.server import Server  # noqa: PLC0415

        thief, owner = STAFFED
        server = Server(self._urls[thief])
        try:
            server.call("fetch", owner, f"{thief}@demo", 1, 1, "1", owner)
        except Refused:
            return f"{thief}'s credential asked for a run of {owner}: the server refused"
        finally:
            server.close()
        self._wrong.append(f"{thief}'s credential could fetch from {owner}")
        return self._wrong[-1]

    def _read(self, limit: int) -> list[RunInfo]:
        for worker in self._workers.list():
            self._tags_of[worker.id] = worker.tags
        return [run for tenant in TENANTS for run in self._runs.list(tenant, limit=limit)]

    def _show_news(self) -> None:
        now = time.time_ns() // 1_000_000
        fresh = [run for run in self._read(NEWEST) if self._told.get(run.id) != run.state and _is_news(run, now)]
        for run in sorted(fresh, key=_instant):
            self._told[run.id] = run.state
            click.echo(_line(run))


def _say(what: str, text: str) -> None:
    click.echo(f"{click.style(f'{what:<9}', bold=True)}  {text}")


def _is_news(run: RunInfo, now: int) -> bool:
    """Whether a run's state is worth a line: one that is queued is not, before it has waited for a second."""
    return run.state not in {"queued", "scheduled"} or now - (run.queued_at or now) > 1_000


def _instant(run: RunInfo) -> int:
    return run.finished_at or run.started_at or run.queued_at or 0


def _line(run: RunInfo) -> str:
    from taglane_cli.demo_report import ran, waited  # noqa: PLC0415 - not for the help

    clock = time.strftime("%H:%M:%S", time.gmtime(_instant(run) / 1000)) + f".{_instant(run) % 1000:03d}"
    state = click.style(f"{run.state:<9}", fg=_COLORS.get(run.state, "red"))
    if run.state == "queued":
        what = f"waits for a worker of tag {run.tag}" if run.tag in STAFFED else f"no worker serves tag {run.tag}"
    elif run.worker is None:
        what = "its last run has not ended" if run.state == "skipped" else cell(run.error)
    else:
        what = f"{run.worker}  waited {waited(run)} ms, ran {ran(run)} ms"
    return f"{clock}  {run.tenant:<8}  {run.job or '-':<7}  {state}  {what}"
