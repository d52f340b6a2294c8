"""Commands on a pooled connection: an answer goes to who asked, also after a call that was broken off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis import exceptions
from taglane.store import wire
from taglane.store.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pool(url: str) -> Iterator[Any]:
    server = Server(url)
    yield server.node_at("key").connection_pool
    server.close()


def test_one_command_is_answered(pool: Any) -> None:
    """With what the server says, an error of its own raised."""
    assert b"OK" == wire.ask(pool, ("SET", "key", b"\xff", "PX", 10_000))
    assert b"\xff" == wire.ask(pool, ("GET", "key"))
    with pytest.raises(exceptions.ResponseError, match="WRONGTYPE"):
        wire.ask(pool, ("LPOP", "key"))
    assert b"\xff" == wire.ask(pool, ("GET", "key"))


def test_many_commands_are_answered_in_their_order(pool: Any) -> None:
    """An error stands in the place of the command that it came of, however much is sent at once."""
    commands: list[wire.Command] = [("ECHO", "x" * size) for size in (1, wire.GATHERED, 10, 5 * wire.GATHERED)]
    commands.insert(2, ("LPOP",))

    *echoed, last = wire.ask_all(pool, commands)

    assert isinstance(echoed.pop(2), exceptions.ResponseError)
    assert [1, wire.GATHERED, 10, 5 * wire.GATHERED] == [len(text) for text in [*echoed, last]]
    assert [] == wire.ask_all(pool, [])


def test_who_is_broken_off_leaves_no_answer_behind(pool: Any) -> None:
    """A call that ends between two of its commands is not answered by the next one's: its connection is dropped."""

    def broken_off() -> Iterator[wire.Command]:
        yield "ECHO", "x" * wire.GATHERED
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wire.ask_all(pool, broken_off())

    assert b"mine" == wire.ask(pool, ("ECHO", "mine"))


def test_a_connection_that_the_server_has_closed_is_made_anew(pool: Any, url: str) -> None:
    """Nobody is told of one that went while it was idle."""
    mine = wire.ask(pool, ("CLIENT", "ID"))
    other = Server(url)
    assert 1 == other.node_at("key").client_kill_filter(_id=str(mine))

    assert mine != wire.ask(pool, ("CLIENT", "ID"))
    other.close()
