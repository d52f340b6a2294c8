"""`taglane console` as its users start it: a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from eventually import eventually

if TYPE_CHECKING:
    from cli.conftest import Cli

TAGLANE = Path(sys.executable).parent / "taglane"


def test_it_says_where_it_is_and_ends_with_sigterm(url: str, tmp_path: Path) -> None:
    """With exit code 0 and within two seconds; the log has no traceback and no token."""
    out, err = (tmp_path / name for name in ("out", "err"))
    with out.open("w") as to_out, err.open("w") as to_err:
        command, environment = [str(TAGLANE), "console", "--port", "0"], {"TAGLANE_URL": url}
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err)
    try:
        eventually(lambda: "console_ready" in err.read_text(), timeout=20)
        said = dict(line.split() for line in out.read_text().replace("set up", "setup").splitlines())
        assert said["setup"].startswith(said["console"])
        with urllib.request.urlopen(said["setup"], timeout=10) as page:
            assert 200 == page.status
    finally:
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(20)

    assert 0 == process.returncode
    assert time.monotonic() - began < 2
    assert "Traceback" not in err.read_text()
    assert "token=" not in err.read_text()


def test_what_it_can_not_do_is_told_in_a_line(taglane: Cli, acme: Cli) -> None:
    """A tenant's credential, an address from which nobody could log in."""
    assert (4, True) == ((refused := acme("console", "--port", "0")).code, "operator's credential" in refused.error)
    assert (2, True) == (
        (open_ := taglane("console", "--port", "0", "--host", "0.0.0.0")).code,
        "user add" in open_.error,
    )
