"""The heart's own program: what it knows of its parent. How it beats is held by the tests of `heart`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from eventually import eventually
from taglane.runtime.heart_process import is_stopped


def test_is_stopped() -> None:
    """By a signal; a process that goes, sleeps or is not there is not."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as child:
        assert not is_stopped(child.pid)
        child.send_signal(signal.SIGSTOP)
        eventually(lambda: is_stopped(child.pid))
        child.send_signal(signal.SIGCONT)
        eventually(lambda: not is_stopped(child.pid))
        child.kill()
    assert not is_stopped(os.getpid())
    assert not is_stopped(2**22 + 1)
