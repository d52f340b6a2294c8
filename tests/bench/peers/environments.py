"""An environment for each peer, in `.venv-peers/`: the versions that are pinned, and nothing of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).with_name("pins")
HOME = Path(__file__).resolve().parents[3] / ".venv-peers"


class NotToBeHad(Exception):
    """A peer can't be installed here; says why."""


def interpreter(name: str) -> str:
    """The peer's Python; installs the peer first where that was not done, or its pins have changed since."""
    place, pins = HOME / name, (PINS / f"{name}.txt").read_text("utf-8")
    python, stamp = place / "bin" / "python", place / "pins.txt"
    if not stamp.exists() or stamp.read_text("utf-8") != pins:
        _run(name, sys.executable, "-m", "venv", "--clear", str(place))
        _run(name, str(python), "-m", "pip", "install", "-q", "--no-deps", "-r", str(PINS / f"{name}.txt"))
        stamp.write_text(pins, "utf-8")
    return str(python)


def version(name: str) -> str:
    """What is pinned of it."""
    pinned = dict(line.split("==") for line in (PINS / f"{name}.txt").read_text("utf-8").splitlines())
    return pinned[name]


def _run(name: str, *command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise NotToBeHad(f"{name}: {done.stderr.strip().splitlines()[-1:] or done.returncode}")
