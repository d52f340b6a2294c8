"""Sends a message to whatever apprise reaches: chats, pagers, telephones. Needs the extra `notify`.

For the operator's channels alone: its addresses reach anything, also inside of the operator's network.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from taglane_scheduler.alerting.message import Outcome, lines, subject_line

if TYPE_CHECKING:
    from taglane_scheduler.alerting.channels import Channel

MISSING = "apprise is not installed where the scheduler runs:  pip install 'taglane[notify]'"


class ByApprise:
    """Sends by apprise, which is imported when it is first needed."""

    def send(self, channel: Channel, message_id: str, body: bytes) -> Outcome:
        """Send a message; whatever goes wrong is the outcome. Apprise says whether it went, and seldom why not."""
        del message_id
        try:
            import apprise  # noqa: PLC0415 - an extra, and 14 MB
        except ImportError:
            return Outcome(False, MISSING, final=True)
        message = json.loads(body)
        way = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False, app_id="Taglane"))
        if not way.add(channel.url):
            return Outcome(False, f"apprise knows no such address: {channel.target}", final=True)
        kind = apprise.NotifyType.SUCCESS if message.get("state") != "firing" else apprise.NotifyType.FAILURE
        if way.notify(title=subject_line(message), body=lines(message), notify_type=kind):
            return Outcome(True, f"sent to {channel.target}")
        return Outcome(False, f"{channel.target} did not take it")
