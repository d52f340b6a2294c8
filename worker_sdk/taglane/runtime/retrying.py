"""Decides, when a try has failed, whether the run is tried again by its job's policy, or given up."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from taglane.runtime.carry import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping


def verdict(header: Mapping[str, Any], retries: int, error: BaseException) -> Outcome | None:
    """Return what becomes of a run after *error*: another try, or the end of all; None when no policy speaks of it.

    Args:
        header: what `unpack` says of the run.
        retries: how many tries its message has seen before this one.
        error: what the task raised.
    """
    fields = header.get("retry")
    if fields is None:
        return None
    from taglane.model.retry import Retry  # noqa: PLC0415 - of few jobs, and pydantic's models are large

    policy = Retry.from_fields(fields)
    if not policy.covers(error):
        return None
    # A replayed dead letter is a new run with the message of the last try: its attempts count from one again.
    tried = min(retries + 1, header["attempt"])
    if tried >= policy.attempts:
        return Outcome("dead")
    return Outcome("retry", wait=policy.wait(tried, random.random()))
