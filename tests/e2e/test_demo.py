"""`taglane demo` as `make demo` runs it: a process of its own, with no terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest
    from redis import Redis

DEMO = [str(Path(sys.executable).parent / "taglane"), "demo"]
TENANTS = ("tenant_a", "tenant_b", "tenant_c")


def start_demo(mark: str, *options: str, url: str = "") -> subprocess.Popen[str]:
    """A demo whose processes all carry *mark* in their environment, and so can be found."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAGLANE_")}
    environment |= {"DEMO_MARK": mark, "NO_COLOR": "1"}
    if url:
        environment["TAGLANE_URL"] = url
    return subprocess.Popen(
        [*DEMO, *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(mark: str) -> list[int]:
    """The ids of the living processes that carry *mark*."""
    wanted = f"DEMO_MARK={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def rows_of(output: str) -> dict[tuple[str, str], Sequence[str]]:
    """The lines of the closing table, by tenant and job."""
    table = output.rpartition("\nTENANT ")[2].split("\n\n")[0]
    lines = [line.split() for line in table.splitlines()[1:]]
    return {(line[0], line[1]): line[2:] for line in lines}


def test_two_demos_at_a_time(tmp_path: Path) -> None:
    """Each shows its own three tenants, finds every fire right, and leaves no process behind."""
    marks = [f"{tmp_path}-{n}" for n in range(2)]
    demos = [start_demo(mark, "--seconds", "6") for mark in marks]

    outputs = [demo.communicate(timeout=100)[0] for demo in demos]

    for demo, output in zip(demos, outputs, strict=True):
        assert 0 == demo.returncode, output
        rows = rows_of(output)
        assert {(tenant, "report") for tenant in TENANTS} <= rows.keys(), output
        assert {(tenant, "sync") for tenant in TENANTS[:2]} <= rows.keys(), output
        assert "taglane worker --tag tenant_c -A shop.celery" in output.splitlines()[-1]
        assert "wrong" not in output
    eventually(lambda: not [pid for mark in marks for pid in processes_of(mark)])


def test_a_demo_that_is_interrupted_stops_what_it_started(tmp_path: Path) -> None:
    """Ctrl-C is 130, and ends the server, the scheduler and the workers."""
    demo = start_demo(str(tmp_path), "--seconds", "60")
    assert demo.stdout is not None
    while "TIME (UTC)" not in (line := demo.stdout.readline()):
        assert line, "it ended before it began"
    assert 5 < len(processes_of(str(tmp_path)))

    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate(timeout=60)

    assert 130 == demo.returncode
    assert "Traceback" not in output
    eventually(lambda: not processes_of(str(tmp_path)))


def test_a_server_that_is_there_is_left_alone(tmp_path: Path, redis: Redis, url: str) -> None:
    """With TAGLANE_URL the demo works on that server, and takes its own tenants away again."""
    redis.set("somebody-elses", "1")

    demo = start_demo(str(tmp_path), "--seconds", "2", url=url)
    output, _ = demo.communicate(timeout=60)

    assert 0 == demo.returncode, output
    assert b"1" == redis.get("somebody-elses")
    assert not redis.keys("taglane:{[a-z0-9]*")
    assert ["default"] == redis.acl_users()


def test_without_the_sample_application_it_says_where_it_looked(tmp_path: Path) -> None:
    """An installation from a wheel has no sample application."""
    demo = start_demo(str(tmp_path), "--app-dir", str(tmp_path))
    output, _ = demo.communicate(timeout=30)

    assert 2 == demo.returncode
    assert str(tmp_path) in output
    assert "--app-dir" in output


def test_demo_seconds_is_the_default_of_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it can't be is refused, so it is read."""
    monkeypatch.setenv("DEMO_SECONDS", "nonsense")
    demo = subprocess.run(DEMO, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    assert 2 == demo.returncode
    assert "nonsense" in demo.stderr
