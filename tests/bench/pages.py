"""`make bench-pages`: what pages read on a server with a million kept runs, the pages, and what looking on costs.

PAGES_RUNS (100,000) and PAGES_JOBS (10,000) are of each of PAGES_TENANTS (10); each is read PAGES_ROUNDS (30) times.
The server is filled by a script of its own: what the moves would write, in a tenth of the time. Then PAGES_MANY
(10,000) tenants of two jobs each are looked at. PAGES_ONLY=pages,tabs,many does some of it.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench import pages_http, pages_many, pages_tabs, report
from bench.reads import Reads
from factories import make_job
from taglane.model.query import parse_query
from taglane.store import functions, keys
from taglane.store.jobs import Jobs
from taglane.store.search import RunSearch
from taglane.store.server import Server
from taglane.store.standings import Standings
from taglane_scheduler.care.alerts import Alerts
from taglane_scheduler.care.board import Board
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.audit import Audit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DAY_MS = 82_800_000
"""Runs were made within the last 23 hours: the history keeps 24."""

FILL_RUNS = """
local P, first, count, t, span, jobs, total = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]),
    tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local tenant = string.sub(P, 10, -3)
local of = {'failed', 'failed', 'cancelled', 'expired', 'dead'}
for i = first, first + count - 1 do
    local at = string.format('%d', math.floor(t - span + i * span / total))
    local id = string.format('%s.%013d%07d', tenant, at, i)
    local job, state = 'job-' .. i % jobs, i % 20 == 7 and of[math.floor(i / 20) % 5 + 1] or 'succeeded'
    redis.call('HSET', P .. 'run:' .. id, 'state', state, 'task', 'shop.tasks.report', 'tag', tenant, 'step', '0',
        'queued_at', at, 'job', job, 'due', at, 'token', '2', 'attempts', '1', 'holder', 'w1', 'started_at', at,
        'finished_at', at, 'result', state == 'succeeded' and '{"r":1}' or '{"e":{"exc_type":"ValueError"}}')
    redis.call('ZADD', P .. 'runs', at, id)
    redis.call('ZADD', P .. (state == 'dead' and 'dead' or 'ended'), at, id)
    if state ~= 'succeeded' and state ~= 'dead' then
        redis.call('ZADD', P .. 'unwell', at, id)
    end
    redis.call('RPUSH', P .. 'last:' .. job, id)
end
"""

FILL_JOBS = """
local P, first, count, t = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local f = redis.call('HGETALL', P .. 'job:job-0')
for i = first, first + count - 1 do
    redis.call('HSET', P .. 'job:job-' .. i, unpack(f))
    redis.call('ZADD', P .. 'jobs', '0', 'job-' .. i)
    redis.call('ZADD', P .. 'due', string.format('%d', t + 1000 * i), 'job-' .. i)
end
"""


@dataclass(frozen=True)
class Size:
    """How much is there, and how often it is read."""

    tenants: int = 10
    runs: int = 100_000
    jobs: int = 10_000
    rounds: int = 30
    many: int = 10_000
    """Tenants of the second scene."""
    seconds: float = 10.0
    """For how long tabs are open."""

    @property
    def names(self) -> list[str]:
        """The tenants."""
        return [f"t{number}" for number in range(self.tenants)]


QUERIES = (
    "",
    "tenant:t1",
    "state:failed",
    "state:dead",
    "state:unwell since:2h",
    "state:open",
    "state:running",
    "state:succeeded since:10m",
    "tenant:t1 job:job-77",
    "tenant:t1 job:job-77 state:failed",
    "job:job-77*",
    "task:shop.tasks.none",
    "tag:t3 state:cancelled",
    "until:20h",
)
"""What is searched for; pages behind the first are read of each, too."""


def fill(server: Server, size: Size) -> None:
    """Write what the moves would have written."""
    seconds, _ = server.redis.time()
    now = seconds * 1000
    for tenant in size.names:
        server.redis.hset(keys.TENANTS, tenant, '{"created":1,"password_hashes":[]}')
        Jobs(server, 10_000).put(make_job("job-0", tenant=tenant, every="10s"))
        server.redis.hset(keys.job(tenant, "job-0"), "created", now - DAY_MS)
        prefix = keys.prefix(tenant)
        step = 2_000
        for first in range(1, size.jobs, step):
            server.redis.eval(FILL_JOBS, 1, prefix, first, min(step, size.jobs - first), now)
        for first in range(0, size.runs, step):
            count = min(step, size.runs - first)
            server.redis.eval(FILL_RUNS, 1, prefix, first, count, now, DAY_MS, size.jobs, size.runs)
        pages_many.serve(server, tenant, workers=5, queued=200)
        _note(server, tenant, size.rounds * 10)


def _note(server: Server, tenant: str, times: int) -> None:
    """Enter what was done, and what is wrong."""
    audit, alerts = Audit(server), Alerts(server)
    for number in range(times):
        audit.note("job-put", tenant, job=f"job-{number}", revision=number)
    for number in range(20):
        alerts.raise_alert("no_worker", tenant, f"{tenant}.{number}", "12 runs wait, and no worker serves the tag")


def measure(server: Server, size: Size, reads: Reads) -> None:
    """Read everything once."""
    search, jobs = RunSearch(server), Jobs(server, 10_000)
    for text in QUERIES:
        query, name, after = parse_query(text), f"runs {text or '(all)'}", ""
        for number in range(4):
            name_of_page = f"{name}, a later page" if number else name
            page = reads.time(name_of_page, partial(search.page, query, size.names, after=after))
            after = page.next
            if not after:
                break
    page = reads.time("jobs", lambda: jobs.page(size.names))
    reads.time("jobs, a later page", lambda: jobs.page(size.names, after=page.next))
    reads.time("jobs job-99*", lambda: jobs.page(size.names, pattern="job-99*"))
    reads.time("jobs that are paused", lambda: jobs.page(size.names, paused=True))
    reads.time("jobs that are overdue", lambda: jobs.page(size.names, overdue=True))
    reads.time("the last 50 runs of a job", lambda: jobs.last_runs("t1", "job-7"))
    standings = Standings(server, 30_000)
    reads.time("standings of all tenants", lambda: standings.read(size.names))
    board = Board(standings, lambda: size.names)
    reads.time("board: step, page, totals, attention", lambda: _board(board))


def _board(board: Board) -> None:
    board.step()
    board.page()
    board.totals()
    board.attention()


def main(environ: Mapping[str, str], size: Size | None = None) -> list[Reads]:
    """Measure on servers of its own, and print the report."""
    size = size or Size(
        tenants=int(environ.get("PAGES_TENANTS", "10")),
        runs=int(environ.get("PAGES_RUNS", "100000")),
        jobs=int(environ.get("PAGES_JOBS", "10000")),
        rounds=int(environ.get("PAGES_ROUNDS", "30")),
        many=int(environ.get("PAGES_MANY", "10000")),
    )
    parts = environ.get("PAGES_ONLY", "pages,tabs,many").split(",")
    found: list[Reads] = []
    if {"pages", "tabs"} & {*parts}:
        found += _few(size, parts)
    if "many" in parts:
        with EmbeddedServer() as running:
            found += _say(pages_many.measure(running.url, size.many, size.rounds))
    print(report.after())
    return found


def _few(size: Size, parts: Sequence[str]) -> list[Reads]:
    """Measure a few tenants with much of everything."""
    found: list[Reads] = []
    with EmbeddedServer() as running:
        server = Server(running.url)
        functions.load(server.redis)
        for line in report.machine(server.redis, f"make bench-pages, of {size}"):
            print(line)
        began = time.perf_counter()
        fill(server, size)
        used = server.redis.info("memory")["used_memory"] / 1e6
        print(f"filled in {time.perf_counter() - began:.0f} s; the server holds {used:,.0f} MB")
        if "pages" in parts:
            found += _say([_reads(server, size), _pages(server, running.url, size)])
        if "tabs" in parts:
            print("\n".join(pages_tabs.lines(server, running.url, size.seconds)), flush=True)
        server.close()
    return found


def _reads(server: Server, size: Size) -> Reads:
    reads = Reads()
    for _ in range(size.rounds):
        measure(server, size, reads)
    return reads


def _pages(server: Server, url: str, size: Size) -> Reads:
    pages = Reads("page over HTTP", pages_http.AIM_MS)
    server.redis.config_resetstat()
    with pages_http.opened(url) as console:
        where = list(pages_http.paths(server.redis, size.names))
        for _ in range(size.rounds):  # in turn, as the machine's other work comes and goes
            for name, path in where:
                pages_http.get(pages, console, name, path)
    stats = server.redis.info("commandstats")["cmdstat_fcall"]
    print(f"functions: {stats['usec_per_call']:.0f} us a call on the server, {stats['calls']:,} calls")
    return pages


def _say(found: list[Reads]) -> list[Reads]:
    for each in found:
        print("\n".join(each.lines()), flush=True)
    return found


if __name__ == "__main__":
    main(os.environ)
    sys.exit(0)
