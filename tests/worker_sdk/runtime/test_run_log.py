"""The lines of one attempt, until the server has them."""

from __future__ import annotations

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from factories import make_run
from taglane.model.log_line import LONGEST
from taglane.runtime.run_log import BATCH_BYTES, BATCH_LINES, Bounds, RunLog

if TYPE_CHECKING:
    from taglane.runtime.run_log import Said

BOUNDS = Bounds(lines=2_000, bytes=1_000_000)


def make_log(bounds: Bounds = BOUNDS) -> RunLog:
    return RunLog(make_run(attempt=3), bounds)


def fill(log: RunLog, count: int, text: str = "line") -> None:
    for number in range(count):
        log.add("INFO", "shop", "log", f"{text} {number}")


def texts(said: list[Said]) -> list[str]:
    return [line[3] for each in said for line in each.lines]


def test_lines_are_numbered_within_their_attempt() -> None:
    """What is taken is taken again until it is said what became of it; then the next have the next numbers."""
    log = make_log()
    fill(log, BATCH_LINES + 1)

    first = log.take()
    assert first is not None
    assert (first.attempt, first.first, len(first.lines)) == (3, 1, BATCH_LINES)
    assert log.take() == first
    log.sent()
    second = log.take()
    assert second is not None
    assert (second.first, texts([second])) == (BATCH_LINES + 1, [f"line {BATCH_LINES}"])
    log.sent()
    assert log.take() is None
    assert not log.has_news()


def test_the_end_says_all_that_may_be_unheard() -> None:
    """Also what is on its way: it may be heard after the end, and the server tells by the numbers. Then it is over."""
    log = make_log()
    fill(log, BATCH_LINES + 10)
    assert log.take() is not None
    log.write("stdout", "unfinished")

    left = log.end()

    assert [(said.first, len(said.lines)) for said in left] == [(1, BATCH_LINES), (BATCH_LINES + 1, 11)]
    assert texts(left)[-1] == "unfinished"
    fill(log, 1)
    log.sent()
    assert (log.take(), log.end(), log.has_news()) == (None, [], False)


def test_one_that_has_said_all_has_nothing_to_say() -> None:
    """But for what was dropped."""
    log = make_log()
    fill(log, 3)
    log.take()
    log.sent()
    log.drop()

    (said,) = log.end()

    assert (said.lines, said.dropped, said.first) == ([], 1, 4)
    assert make_log().end() == []


@pytest.mark.parametrize(
    ("bounds", "kept"), [(Bounds(5, 10_000), 5), (Bounds(100, 50 * 10), 9)], ids=["lines", "bytes"]
)
def test_the_last_lines_are_kept(bounds: Bounds, kept: int) -> None:
    """The older ones are dropped, and counted."""
    log = make_log(bounds)

    fill(log, 50)

    (said,) = log.end()
    assert texts([said]) == [f"line {number}" for number in range(50 - kept, 50)]
    assert said.dropped == 50 - kept


def test_what_a_full_server_refuses_is_dropped() -> None:
    """Counted, and not said again; a run that is another worker's says nothing at all."""
    log = make_log()
    fill(log, 2)
    log.take()
    log.refused()
    fill(log, 1)
    said = log.take()
    assert said is not None
    assert (said.first, said.dropped) == (3, 2)

    log.lose()
    fill(log, 1)
    assert (log.take(), log.end(), log.has_news()) == (None, [], False)


def test_batches_are_bounded_in_bytes() -> None:
    """For so long the server serves nobody else."""
    log = make_log()
    fill(log, 50, "x" * LONGEST)

    sizes = [said.size for said in log.end()]

    assert len(sizes) > 5
    assert max(sizes) < BATCH_BYTES + 2 * LONGEST


def test_what_is_written_comes_as_lines() -> None:
    """When they are whole; of a line that was written over, the last; an endless one is cut."""
    log = make_log()

    log.write("stdout", "a")
    log.write("stderr", "x\r\ny\n")
    log.write("stdout", "b\n\n10%\r20%\r")
    log.write("stdout", "30%\nc")
    log.write("stderr", "z" * (LONGEST + 1))
    for percent in range(1_000):
        log.write("stdout", f"\r{percent:020}")

    lines = [(line[2].strip(), line[3][-20:]) for said in log.end() for line in said.lines]
    assert lines == [
        ("stderr", "x"),
        ("stderr", "y"),
        ("stdout", "ab"),
        ("stdout", ""),
        ("stdout", "30%"),
        ("stderr", "z" * 20),
        ("stdout", f"{999:020}"),
    ]


def test_a_huge_text_costs_what_is_kept_of_it() -> None:
    """The lines before are counted without being made."""
    log = make_log(Bounds(100, 1_000))

    log.write("stdout", "line\n" * 1_000_000)

    (said,) = log.end()
    assert len(said.lines) == 1_000 // 44
    assert said.dropped == 1_000_000 - len(said.lines)


def test_arguments_are_what_the_function_takes() -> None:
    """Ages, not instants; bytes, whatever was logged. It crosses a pipe."""
    log = make_log()
    log.add("INFO", "shop", "log", "\ud800é")
    (said,) = pickle.loads(pickle.dumps(log.end()))

    given = said.arguments("acme.1", 7, time.monotonic() + 2)

    age, _, line = given.pop().partition(b"\t")
    assert given == ["acme.1", 7, 3, 1, 0, *BOUNDS]
    assert line == "INFO\tlog\tshop\t?é".encode()
    assert 2_000 <= int(age) < 3_000


def test_threads_may_log_at_once() -> None:
    """Nothing is lost or told twice while it is taken out; what is counted wrongly on the way is counted anew."""
    log = make_log(Bounds(100_000, 50_000_000))
    taken: list[str] = []

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(fill, log, 2_000, str(thread)) for thread in range(4)]
        while not all(writer.done() for writer in writers) or log.has_news():
            said = log.take()
            if said is not None:
                taken += texts([said])
                log.sent()

    assert sorted(taken) == sorted(f"{thread} {number}" for thread in range(4) for number in range(2_000))
    assert log.take() is None
    assert log.size == 0
