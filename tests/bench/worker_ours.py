"""Starts one worker of ours: the pool and the concurrency are its arguments."""

from __future__ import annotations

import os
import sys

from taglane.runtime.worker import run_worker


def main(pool: str, concurrency: str) -> int:
    """Serve the tenant's own tag until a signal ends it."""
    tenant, url = os.environ["BENCH_TENANT"], os.environ["BENCH_URL"]
    return run_worker([tenant], "bench.app_ours", concurrency=int(concurrency), pool=pool, loglevel="WARNING", url=url)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
