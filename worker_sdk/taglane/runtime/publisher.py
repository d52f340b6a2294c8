"""Turns a message that Celery publishes into a run: of the tenant in reach, for the tag that its queue means."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from taglane.context import check_reach, current_tenant
from taglane.errors import BadParams, TenantMissing
from taglane.model.envelope import pack
from taglane.model.names import check_run_id, tag_of_queue
from taglane.runtime import tracing
from taglane.runtime.carry import Carry, current_carry
from taglane.settings import load_settings
from taglane.store import keys
from taglane.store.runs import NewRun, Runs
from taglane.store.server import Server, tenant_of_url

DEFAULT_QUEUE = "celery"

JOIN = "~join"
"""What the id of the run that joins a chord ends with; before it stands the group's."""


@lru_cache(maxsize=8)
def _server(url: str, pid: int) -> Server:  # noqa: ARG001 - a forked child connects anew
    return Server(url, replicas=load_settings().replicas)


def server_for(url: str) -> Server:
    """The server of *url* in this process; one for all that publishes and reads results here."""
    return _server(url, os.getpid())


def reachable_tenant(url: str) -> str | None:
    """The tenant in reach: of the context, else of the url's credential."""
    return current_tenant() or tenant_of_url(url)


def publish(url: str, queue: str, message: dict[str, Any], default_queue: str = DEFAULT_QUEUE) -> None:
    """Make a run of *message*; of the run that is being executed here, it is the next attempt instead.

    *default_queue* is what the application calls its own: the tenant's own tag.

    Raises:
        TenantMissing: nobody says whose it is.
        BadParams: it is not JSON, or over the limit.
        BadName, TagNotOwned: its queue can't be a tag, or is another tenant's.
        OtherTenant: a run sends it, of another tenant.
        OverLimit: its tenant may not have it now; what carries on a run it may in any case: a chain's next link, and
            what replaces the run.
    """
    headers = message["headers"]
    task = headers["task"]
    tenant = reachable_tenant(url)
    if tenant is None:
        raise TenantMissing(task)
    check_reach(tenant)
    carry = current_carry()
    if carry is not None and carry.message_id == headers["id"]:
        headers.update(carry.trace)
    elif tracing.is_on():
        return _publish_traced(url, queue, message, default_queue, tenant)
    return _make(url, queue, message, default_queue, tenant)


def _publish_traced(url: str, queue: str, message: dict[str, Any], default_queue: str, tenant: str) -> None:
    spans = tracing.spans()
    assert spans is not None  # noqa: S101 - it is on
    with spans.publishing(tenant, tag_of_queue(tenant, queue, default_queue), message["headers"]):
        _make(url, queue, message, default_queue, tenant)


def _make(url: str, queue: str, message: dict[str, Any], default_queue: str, tenant: str) -> None:
    headers = message["headers"]
    task = headers["task"]
    carry = current_carry()
    nesting = int(headers.get("replaced_task_nesting") or 0)
    is_again = carry is not None and carry.message_id == headers["id"]
    # A next try keeps its job's retry policy; another task that takes the run's place has not that job's.
    retry = carry.header.get("retry") if carry is not None and is_again and nesting == carry.nesting else None
    envelope, depends = pack(message, retry)
    limit = _payload_limit()
    if len(envelope) > limit:
        raise BadParams(
            f"{task}: the arguments take {len(envelope)} bytes, over the limit of {limit} (TAGLANE_PAYLOAD_LIMIT)"
        )
    run = NewRun(
        id=check_run_id(headers["id"]),
        task=task,
        tag=tag_of_queue(tenant, queue, default_queue),
        envelope=envelope,
        step=keys.step_of(message["properties"].get("priority")),
        at=_instant(headers.get("eta")),
        expires=_instant(headers.get("expires")),
        depends=depends,
        carries_on=carry is not None and carry.entered and (not carry.inside or nesting > carry.nesting),
    )
    if carry is not None and is_again:
        step = run.step or ""  # Celery gives it none, where it does not know the run's
        carry.again = (run.at, run.envelope, run.task, run.tag, step)
        return
    if carry is not None:
        _note_replacement(url, carry, nesting)
    Runs(server_for(url)).make(tenant, [run])


def _note_replacement(url: str, carry: Carry, nesting: int) -> None:
    """Open the executing run's id, when what is sent replaces it: the last of those that do so will carry that id.

    The server knows before the first of them is sent, since the last may be quicker than the end of this run.
    """
    if nesting > carry.nesting and not carry.was_replaced and not carry.run.id.endswith(JOIN):
        carry.was_replaced = True
        server_for(url).call("progress", carry.run.tenant, carry.run.id, carry.run.token, "")


@lru_cache(maxsize=1)
def _payload_limit() -> int:
    return load_settings().payload_limit


def _instant(iso: str | None) -> str:
    """An ISO 8601 instant as the scripts take it: from now, so that the server's clock need not agree with ours."""
    if not iso:
        return ""
    instant = datetime.fromisoformat(iso)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)  # as Celery sends it
    return f"+{round((instant - datetime.now(UTC)).total_seconds() * 1000)}"
