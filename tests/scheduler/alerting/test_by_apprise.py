"""Sending by apprise: to a real receiver, by its own kind of address."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from taglane_scheduler.alerting.by_apprise import ByApprise
from taglane_scheduler.alerting.channels import Channel, make_channel
from taglane_scheduler.alerting.message import packed, trial

if TYPE_CHECKING:
    from receivers import Receiver

BODY = packed(trial("chat", "t", 0))


def to(url: str) -> Channel:
    return make_channel(name="chat", kind="apprise", url=url)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_a_message_goes_where_apprise_takes_it(hook: Receiver) -> None:
    """Title and lines; a receiver that says no, and an address that is none, are outcomes."""
    url = f"json://127.0.0.1:{hook.port}/hook"

    sent = ByApprise().send(to(url), "t", BODY)
    hook.answers.append((500, {}))
    refused = ByApprise().send(to(url), "t", BODY)
    unknown = ByApprise().send(to("nosuchthing://x"), "t", BODY)

    assert (True, "sent to json://…") == (sent.ok, sent.answer)
    assert "nothing is wrong" in json.loads(hook.requests[0][2])["message"]
    assert (False, False) == (refused.ok, refused.final)
    assert (False, True) == (unknown.ok, unknown.final)
    assert "nosuchthing://…" in unknown.answer


def test_without_apprise_it_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra; the message is tried again by a scheduler that has it."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    outcome = ByApprise().send(to("json://x"), "t", BODY)
    assert not outcome.ok
    assert "pip install 'taglane[notify]'" in outcome.answer
