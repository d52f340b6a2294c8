"""One peer beside us: how it is filled and watched, and in which ways its workers run."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from bench import sides
from bench.peers import environments
from redis import Redis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.peers.postgres import Postgres

SCENES = "bench.peers.scenes"
DATABASE = "2"
"""Of every peer: one is measured at a time. Ours is in 0, stock Celery in 1."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run workers."""

    label: str
    pool: str
    """Which command: `worker` of a side takes it."""
    processes: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    patient: bool = True
    """Whether latency and start are measured in it, too."""


class Contender(sides.Side, Protocol):
    """A side that has a scene."""

    scene: str
    settings: Sequence[Setting]
    bulk: bool
    """Whether it has a way to send many."""
    version: str
    note: str
    """What a reader must know of its figures."""


class Peer:
    """A peer on the server that we use, in a database of its own, which is emptied before each measurement."""

    bulk = False

    def __init__(
        self,
        name: str,
        operator_url: str,
        commands: Mapping[str, Sequence[str]],
        settings: Sequence[Setting],
        left: Sequence[tuple[str, str]],
        *,
        bulk: bool = False,
        note: str = "",
    ) -> None:
        self.name = self.scene = name
        self.python, self.version = environments.interpreter(name), environments.version(name)
        url = operator_url.removesuffix("/0") + f"/{DATABASE}"
        self.environment = {"BENCH_URL": url}
        self.settings, self.bulk, self.note = settings, bulk, note
        self._commands, self._left = commands, left
        self._redis: Any = Redis.from_url(url)

    def clear(self) -> None:
        """Leave nothing."""
        self._redis.flushdb()

    def fill(self, task: str, runs: int) -> None:
        """Let the peer's own producer send, in the fastest way that it has."""
        del task  # each scene has one that does nothing
        speak(self, "fill", runs)

    def backlog(self) -> int:
        """What waits or is in work, by a few commands that cost the server nothing."""
        pipeline = self._redis.pipeline(transaction=False)
        for command, key in self._left:
            pipeline.execute_command(command, key)
        return sum(pipeline.execute())

    def worker(self, pool: str, concurrency: int) -> list[str]:
        """The command of one process; a peer's concurrency is part of its setting."""
        del concurrency
        return [word.replace("SCENE", f"{SCENES}.{self.scene}") for word in self._commands[pool]]


class OnPostgres(Peer):
    """procrastinate, which no Redis serves."""

    def __init__(self, database: Postgres, operator_url: str, settings: Sequence[Setting], note: str) -> None:
        super().__init__("procrastinate", operator_url, {"worker": ["-m", "SCENE"]}, settings, (), bulk=True, note=note)
        self.environment = {"BENCH_URL": database.url}
        self._database = database
        made = ["-m", "procrastinate", "-a", f"{SCENES}.procrastinate.app", "schema", "--apply"]
        if process := sides.start(self, made):
            process.communicate(timeout=60)

    def clear(self) -> None:
        self._database.ask("TRUNCATE procrastinate_jobs CASCADE; SELECT 1")

    def backlog(self) -> int:
        return int(self._database.ask("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"))


class Ours(sides.Ours):
    """Taglane, in each of its pools."""

    scene = "taglane"
    version = version("taglane")
    bulk = True
    note = "results, history and late acknowledgement are always on"
    settings: Sequence[Setting] = [Setting(pool, pool) for pool in ("auto", "threads", "prefork", "solo")]


class Stock(sides.Stock):
    """Stock Celery, in each of its pools, with late acknowledgement."""

    scene = "celery"
    version = version("celery")
    bulk = False
    note = "late acknowledgement, results; a child's crash gives its task back"
    settings: Sequence[Setting] = [Setting(pool, pool) for pool in sides.POOLS]


def speak(side: Contender, way: str, count: int, **environment: str) -> Any:
    """Let a producer do this in the peer's environment, and answer the figures that it printed."""
    process = sides.start(side, ["-m", "bench.peers.speak", side.scene, way, str(count)], **environment)
    try:
        said, _ = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    if process.returncode:
        raise RuntimeError(f"the producer of {side.name} ended with {process.returncode}: {sides.complaint()}")
    return json.loads(said) if said.strip() else None
