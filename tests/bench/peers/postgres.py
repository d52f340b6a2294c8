"""A PostgreSQL server of our own for procrastinate: Debian's binaries, the loopback interface, a directory that goes.

It writes nothing through to the disk (`fsync=off`), as the Valkey beside it keeps nothing on disk.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Self, cast

from bench.peers.environments import NotToBeHad

QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "listen_addresses": "127.0.0.1"}


def binaries() -> Path:
    """Where `initdb` and `postgres` lie; as root they are installed where they are not there."""
    if not (found := _found()) and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
        for command in ("update", "install -y --no-install-recommends postgresql"):
            subprocess.run(["apt-get", "-qq", *command.split()], timeout=600, check=False, **quiet)  # type: ignore[call-overload]
        found = _found()
    if not found:
        raise NotToBeHad("procrastinate: no PostgreSQL here (`apt-get install postgresql` as root brings it)")
    return found[-1]


def _found() -> list[Path]:
    return sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))


class Postgres:
    """The server, as a context manager, and one `psql` that asks it."""

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="taglane-bench-postgres-"))
        owner = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if owner:
            shutil.chown(self._home, **owner)
        programs, data = binaries(), self._home / "data"
        made = [str(programs / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust", "--no-sync"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=self._home, **owner)  # type: ignore[call-overload]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = [word for name, value in QUICK.items() for word in ("-c", f"{name}={value}")]
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", str(self._home), *options]
        with (self._home / "log").open("w") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._home, **owner)  # type: ignore[call-overload]
        self.url = f"postgresql://bench@127.0.0.1:{port}/postgres"
        asked = [str(programs / "psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", self.url]
        self._wait(asked)
        self._psql = subprocess.Popen(
            asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=self._home
        )
        return self

    def _wait(self, asked: list[str]) -> None:
        for _ in range(200):
            if not subprocess.run([*asked, "-c", "SELECT 1"], capture_output=True, check=False).returncode:
                return
            time.sleep(0.05)
        raise NotToBeHad(f"procrastinate: PostgreSQL did not start: {(self._home / 'log').read_text()[-500:]}")

    def ask(self, statement: str) -> str:
        """Answer the one value of a statement."""
        talk_in, talk_out = cast("IO[str]", self._psql.stdin), cast("IO[str]", self._psql.stdout)
        talk_in.write(f"{statement};\n")
        return talk_out.readline().strip()

    def __exit__(self, *_: object) -> None:
        self._psql.terminate()
        self._psql.communicate(timeout=20)
        self._server.send_signal(signal.SIGINT)  # SIGTERM would wait for clients
        self._server.wait(timeout=60)
        shutil.rmtree(self._home)
