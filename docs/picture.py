"""Makes docs/picture.svg from what `taglane demo` prints: `python docs/picture.py [SECONDS]`, in the repository."""
# ruff: noqa: INP001 - a script, in no package

from __future__ import annotations

import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parent / "picture.svg"
WIDTH = 126
SHOWN = 14  # lines of runs; the others are counted
STYLES = {
    r"(?m)^\$ .*$": "bold",
    r"(?m)^(server|tenants|scheduler|worker|jobs|fence)\b": "bold cyan",
    r"(?m)^(TIME|TENANT ) .*$": "bold",
    r"\b(succeeded|right)\b": "green",
    r"\b(queued|skipped|waits)\b": "yellow",
    r"\b(failed|wrong)\b": "red",
    r"\btenant_a\b": "blue",
    r"\btenant_b\b": "magenta",
    r"\btenant_c\b": "yellow",
}


def run_demo(seconds: str) -> str:
    """Return what the demo prints into a pipe. CalledProcessError when it finds something wrong."""
    command = [sys.executable, "-m", "taglane_cli.main", "demo", "--seconds", seconds]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own command


def shortened(output: str) -> str:
    """Leave out what fills the picture and says nothing new: most of the lines of runs."""
    start, runs, end = output.split("\n\n", 2)
    lines = runs.splitlines()
    left = len(lines) - 1 - SHOWN
    if left > 1:
        lines = [*lines[: SHOWN + 1], f"… {left} more"]
    return "\n\n".join([start, "\n".join(lines), end])


def draw(output: str) -> str:
    """Return the SVG of a terminal that shows *output*."""
    text = Text(f"$ make demo\n{output.rstrip()}")
    for pattern, style in STYLES.items():
        text.highlight_regex(pattern, style)
    console = Console(record=True, width=WIDTH, file=StringIO())
    console.print(text)
    drawn = console.export_svg(title="make demo", unique_id="demo")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # a picture fetches nothing


if __name__ == "__main__":
    drawn = draw(shortened(run_demo(sys.argv[1] if len(sys.argv) > 1 else "20")))
    PICTURE.write_text("\n".join(line.rstrip() for line in drawn.splitlines()) + "\n", encoding="utf-8")
