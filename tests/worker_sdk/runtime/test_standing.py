"""What a child knows of its parent's leases: without a server, in a real child process."""

from __future__ import annotations

import os
import time

from taglane.runtime.standing import NEVER, Standing


def test_a_run_begins_while_its_lease_holds() -> None:
    """It need not have been renewed yet; once that is too long ago, nothing begins until it is renewed again."""
    standing = Standing()
    assert standing.is_sure(standing.losses)

    standing.renew(time.monotonic() - 0.001)
    assert not standing.is_sure(standing.losses)
    standing.renew(time.monotonic() + 60)
    assert standing.is_sure(standing.losses)


def test_what_was_given_before_a_loss_does_not_begin_after_it() -> None:
    """The parent may have renewed before the child came to it: what it lost stays lost."""
    standing = Standing()
    before = standing.losses

    standing.lose()
    standing.renew(time.monotonic() + 60)

    assert not standing.is_sure(before)
    assert standing.is_sure(standing.losses)
    assert not standing.is_sure(NEVER)


def test_a_child_reads_what_its_parent_writes_later() -> None:
    """The memory is made before the fork, and shared by it."""
    standing = Standing()
    given = standing.losses
    receiver, sender = os.pipe()
    child = os.fork()
    if not child:
        os.read(receiver, 1)
        os._exit(10 + standing.is_sure(given) + 2 * standing.is_sure(given + 1))

    standing.lose()
    os.write(sender, b"1")
    _, status = os.waitpid(child, 0)
    os.close(receiver)
    os.close(sender)

    assert 12 == os.waitstatus_to_exitcode(status)
