"""A producer of one peer, in that peer's own environment: sends in one of several ways, and prints what that took.

`python -m bench.peers.speak SCENE send|many|fill|stamp|wait COUNT` imports the standard library and the scene alone.
A scene is a module with the tasks `noop` and `stamp`, and with functions, plain or async:

`send(task)`    enqueues one, and answers a handle
`many(count)`   enqueues so many `noop` in the way that is fastest, where there is such a thing
`result(handle)` waits until the result is here, where there are results
`begin()`       is called first, where it is there
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from importlib import import_module
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from bench.peers.echo import Ear

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WARM_UP = 100
UNMEASURED = 5
PAUSE = 0.015
"""Between two calls at low load, s."""


async def main(name: str, way: str, count: int) -> None:
    """Send, and print figures as JSON."""
    scene = import_module(f"bench.peers.scenes.{name}")
    await _call(getattr(scene, "begin", _nothing))
    match way:
        case "send":
            await _sends(scene, min(WARM_UP, count - 1))
            print(json.dumps(await _timed(lambda: _sends(scene, count))))
        case "many":
            await _call(scene.many, min(WARM_UP, count - 1))
            print(json.dumps(await _timed(lambda: _call(scene.many, count))))
        case "fill":
            await (_call(scene.many, count) if hasattr(scene, "many") else _sends(scene, count))
        case "stamp":
            await _call(scene.send, "stamp")
        case "wait":
            print(json.dumps(await _waits(scene, count)))


def _nothing() -> None:
    """What a scene does that needs no beginning."""


async def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    answer = function(*arguments)
    return await answer if iscoroutinefunction(function) else answer


async def _sends(scene: Any, count: int) -> None:
    send = scene.send
    if iscoroutinefunction(send):
        for _ in range(count):
            await send("noop")
    else:
        for _ in range(count):
            send("noop")


async def _timed(work: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """The seconds of the clock and of the processor, this process's alone."""
    before, begin = _cpu(), time.perf_counter()
    await work()
    return {"seconds": time.perf_counter() - begin, "cpu": _cpu() - before}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _waits(scene: Any, count: int) -> dict[str, list[float]]:
    """One call after another: until each started, and until its result was in the caller's hand, s."""
    starts, results = [], []
    with Ear(os.environ["BENCH_ECHO"]) as ear:
        for number in range(count + UNMEASURED):
            begin = time.monotonic()
            handle = await _call(scene.send, "stamp")
            ended = None
            if hasattr(scene, "result"):
                await _call(scene.result, handle)
                ended = time.monotonic()
            started = ear.hear()
            if number >= UNMEASURED:
                starts.append(started - begin)
                results += [] if ended is None else [ended - begin]
            time.sleep(PAUSE)  # noqa: ASYNC251 - nothing else is to run in this process
    return {"starts": starts, "results": results}


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
