"""Starts one worker of ours: the pool and the concurrency are its arguments."""

from __future__ import annotations

import os
import sys

from taglane.runtime.worker import serve

from bench.app_ours import app


def main(pool: str, concurrency: str) -> int:
    """Serve the tenant's own tag until a signal ends it."""
    return serve(app, [os.environ["BENCH_TENANT"]], concurrency=int(concurrency), pool=pool, loglevel="WARNING")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
