"""Compares what the server keeps with what its tenants are measured to keep: a tenant may write beside its indexes.

Such keys are in no estimate, and to find whose they are takes a scan of all keys. That there are many is seen at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.model.size import about

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from taglane.store.server import Server

    from taglane_scheduler.care.alerts import Alerts

KIND, SUBJECT = "memory", "unexplained"

LEAST = 64 << 20
"""Bytes, below which nothing is said."""

SHARE = 0.5
"""Of what the server keeps: estimates are 0.8 to 1.0 of the truth, and leave out what is small beside runs."""


def is_much(kept: int, explained: int) -> bool:
    """Whether so much is unexplained that no estimate is as wrong."""
    return kept - explained > max(LEAST, SHARE * kept)


class Unexplained:
    """Raises an alert of nobody's. Takes the operator's credential."""

    def __init__(self, server: Server, alerts: Alerts) -> None:
        self._server = server
        self._alerts = alerts

    def judge(self, measured: Collection[int], heaviest: Sequence[str]) -> None:
        """Compare; *measured* are the bytes of each tenant's data, *heaviest* who sends and is sent most.

        While a node of a cluster gives no answer, nothing is known of the whole.

        Raises:
            ServerUnavailable: no answer.
        """
        with self._server.renamed("asking for the memory", operator=True):
            memories = [node.info("memory") for node in self._server.nodes()]
        used, kept = (sum(int(each.get(f"used_memory{of}", 0)) for each in memories) for of in ("", "_dataset"))
        explained = sum(measured)
        if not 0 <= kept <= used:  # some versions of the server subtract more than there is
            return
        if not is_much(kept, explained):
            self._alerts.end(KIND, "", SUBJECT)
            return
        text = f"the server keeps {about(kept)}, and what tenants are measured to keep is {about(explained)}"
        names = f"; most goes to and from {', '.join(heaviest)}" if heaviest else ""
        mend = "taglane tenant top --by bandwidth"
        self._alerts.raise_alert(KIND, "", SUBJECT, f"{text}: one may write beside its runs{names}:  {mend}")
