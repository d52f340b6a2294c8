"""Spells every key: nothing else in Python does, and the Lua prelude's spelling is compared with this one by a test.

All keys of a tenant share one hash tag, so a tenant is one slot of a cluster and one pattern of an ACL.
"""

from __future__ import annotations

from taglane import context
from taglane.store.pool_keys import *  # noqa: F403 - whoever needs a key finds it here

NOBODY = "taglane:{.}:"
"""What each key starts with that is no tenant's and no pool's: no name is a dot alone, so no tenant's pattern reaches
it. One slot of a cluster, since some are used together in one step: so they lie on one node."""

TENANTS = f"{NOBODY}tenants"  # hash: tenant -> record, JSON
SCHEDULERS = f"{NOBODY}schedulers"  # hash: scheduler -> heartbeat counter
AUDIT = f"{NOBODY}audit"  # stream: who did what to which tenant
DENIED = f"{NOBODY}denied"  # stream: what a server refused to whom
DENIALS = f"{NOBODY}denials"  # hash: entry of a server's own log of refusals -> how often it was counted here
ALERTS = f"{NOBODY}alerts"  # hash: kind, tenant and subject, JSON -> what is wrong now, JSON
ALERTING = f"{NOBODY}alerting:"
"""What each key starts with that alerting keeps: rules, incidents, messages."""

ALERT_RULES = f"{ALERTING}rules"  # hash: owner/name -> rule, JSON
ALERT_CHANNELS = f"{ALERTING}channels"  # hash: owner/name -> channel, JSON, with its secret
ALERT_SILENCES = f"{ALERTING}silences"  # hash: id -> silence, JSON
ALERT_PARTS = (ALERT_RULES, ALERT_CHANNELS, ALERT_SILENCES)
ALERT_INCIDENTS = f"{ALERTING}incidents"  # hash: rule, tenant and subject, JSON -> incident, JSON
ALERT_OUTBOX = f"{ALERTING}outbox"  # zset: owner/name of a channel with messages -> when one is sent next, ms
ALERT_MESSAGES = f"{ALERTING}messages"  # hash: id -> message that is not delivered yet, JSON
ALERT_DELIVERIES = f"{ALERTING}deliveries"  # list: what became of messages, JSON, the newest first
WATCH = f"{NOBODY}watch"  # hash: tenant -> what it uses of the server, as it was last measured, JSON
POOLS = f"{NOBODY}pools"  # set: names of shared pools that have had a worker
POOL_ALL = "taglane:{*}:pool"  # the pattern of every tenant's channel of work for a pool
WAKE_ALL = "taglane:{*}:wake"  # the pattern of every tenant's wake channel

PEOPLE = f"{NOBODY}people"  # hash: name -> who may log in to the console, JSON
API_KEYS = f"{NOBODY}api-keys"  # hash: id -> an API key's record, JSON
API_KEY_ORDER = f"{NOBODY}api-keys:order"  # zset of one score: `tenant|id`, so that a tenant's are one range
API_KEY_USE = f"{NOBODY}api-keys:use"  # hash: id -> when, ms, it was last used, about

STEPS = (0, 3, 6, 9)  # kombu's priority steps: 0 is served first

ALONE_AFTER = 2
"""A run that was rescued this often is fetched alone: see the prelude."""


def prefix(tenant: str) -> str:
    """What every key of *tenant* starts with; `KEYS[1]` of each function.

    Raises:
        OtherTenant: a run is being executed here, and it is of another tenant.
    """
    context.check_reach(tenant)
    return f"taglane:{{{tenant}}}:"


def read_only_prefix(tenant: str) -> str:
    """What each key starts with that *tenant* may read and the operator alone may write: limits, its state.

    Outside the tenant's own pattern, since ACL patterns add up and nothing takes away; in the same slot of a cluster.
    """
    context.check_reach(tenant)
    return f"taglane-ro:{{{tenant}}}:"


def limits(tenant: str) -> str:
    """Hash: the tenant's limits, called like the fields of `model.limits.Limits`; and `state`: paused, draining."""
    return f"{read_only_prefix(tenant)}limits"


def alert_queue(channel: str) -> str:
    """List of the ids of the messages for one channel, the oldest first; not a tenant's."""
    return f"{ALERTING}queue:{channel}"


def step_of(priority: int | None) -> int:
    """Round a priority of 0 to 9 down to its step; what is unset is 0."""
    return min(9, max(0, int(priority or 0))) // 3 * 3


def run(tenant: str, run_id: str) -> str:
    """Hash: all that is known of one run."""
    return f"{prefix(tenant)}run:{run_id}"


def log(tenant: str, run_id: str) -> str:
    """Stream: what one run has logged, a line an entry; the last ones."""
    return f"{prefix(tenant)}log:{run_id}"


def logs(tenant: str) -> str:
    """List of what was written into logs, the oldest at the left: ``run bytes cursor``, a call of `log` each."""
    return f"{prefix(tenant)}logs"


def logged(tenant: str) -> str:
    """String: how many bytes those are together."""
    return f"{prefix(tenant)}logged"


def queue(tenant: str, tag: str, step: int) -> str:
    """List of run ids: the next one to serve is at the left."""
    return f"{prefix(tenant)}queue:{tag}:{step}"


def delayed(tenant: str, tag: str) -> str:
    """Zset: run id -> the instant, ms, from which it may be queued."""
    return f"{prefix(tenant)}delayed:{tag}"


def bell(tenant: str, tag: str) -> str:
    """List of a few tokens: whoever takes one looks into the tag's queue."""
    return f"{prefix(tenant)}bell:{tag}"


def leases(tenant: str) -> str:
    """Zset: run id -> since when, ms, a worker holds it."""
    return f"{prefix(tenant)}leases"


def held(tenant: str, worker: str) -> str:
    """Set of the run ids that one worker holds."""
    return f"{prefix(tenant)}held:{worker}"


def workers(tenant: str) -> str:
    """Set of the ids of this tenant's workers."""
    return f"{prefix(tenant)}workers"


def worker(tenant: str, worker_id: str) -> str:
    """Hash: a worker's heartbeat counter, tags, tasks, host, last fetch."""
    return f"{prefix(tenant)}worker:{worker_id}"


def cancels(tenant: str, worker_id: str) -> str:
    """Set of the run ids that one worker is asked to stop."""
    return f"{prefix(tenant)}cancels:{worker_id}"


def jobs(tenant: str) -> str:
    """Zset of job names, all with the score 0: so they are in the order of their letters."""
    return f"{prefix(tenant)}jobs"


def job(tenant: str, name: str) -> str:
    """Hash: a job's definition, revision and ready envelope."""
    return f"{prefix(tenant)}job:{name}"


def parked(tenant: str, name: str) -> str:
    """List of run ids of one job, which wait until the run before them has ended; the next one is at the left."""
    return f"{prefix(tenant)}parked:{name}"


def removed(tenant: str, name: str) -> str:
    """String: the last run of a job that was deleted while it went; a job that gets the name waits for its end."""
    return f"{prefix(tenant)}removed:{name}"


def waiting(tenant: str) -> str:
    """Set of the jobs that wait for the end of a run: with a fixed delay, or with runs parked; it may hold others."""
    return f"{prefix(tenant)}waiting"


def skipped(tenant: str) -> str:
    """List: the kept runs that were skipped, the oldest first."""
    return f"{prefix(tenant)}skipped"


def due(tenant: str) -> str:
    """Zset: job name -> when it fires next, ms."""
    return f"{prefix(tenant)}due"


def expiring(tenant: str) -> str:
    """Zset: run id -> when it expires if it still waits, ms."""
    return f"{prefix(tenant)}expiring"


def runs(tenant: str) -> str:
    """Zset: every kept run -> when it was made, ms."""
    return f"{prefix(tenant)}runs"


def ended(tenant: str) -> str:
    """Zset: every kept run that has ended -> when, ms. The history is trimmed from its low end."""
    return f"{prefix(tenant)}ended"


def unwell(tenant: str) -> str:
    """Zset: every kept run that failed, expired or was cancelled -> when, ms; and dead letters that were replayed."""
    return f"{prefix(tenant)}unwell"


def last(tenant: str, name: str) -> str:
    """List: the ids of a job's last runs, a hundred at most, the newest at the right; some may be gone."""
    return f"{prefix(tenant)}last:{name}"


def failing(tenant: str) -> str:
    """Zset: each job whose last three runs or more failed, died or expired -> how many in a row."""
    return f"{prefix(tenant)}failing"


def dead(tenant: str) -> str:
    """Zset: run id -> when we gave up on it, ms."""
    return f"{prefix(tenant)}dead"


def aside(tenant: str) -> str:
    """List: queue entries whose run is missing or unreadable; and `job <name>` of jobs that are."""
    return f"{prefix(tenant)}aside"


def tags(tenant: str) -> str:
    """Set of the tags for which something may wait."""
    return f"{prefix(tenant)}tags"


def idempotency(tenant: str, key: str) -> str:
    """String: the run that was made for an idempotency key."""
    return f"{prefix(tenant)}key:{key}"


def chord(tenant: str, group: str) -> str:
    """Hash: a chord's size, its body, and each part's outcome by index."""
    return f"{prefix(tenant)}chord:{group}"


def group(tenant: str, group_id: str) -> str:
    """String: a saved Celery GroupResult."""
    return f"{prefix(tenant)}group:{group_id}"


def ledger(tenant: str, day: str) -> str:
    """Hash: what happened -> how often, for one day (YYYYMMDD, UTC) of the tenant."""
    return f"{prefix(tenant)}ledger:{day}"


def job_ledger(tenant: str, day: str) -> str:
    """Hash: ``job|what`` -> how often, for one day (YYYYMMDD, UTC)."""
    return f"{prefix(tenant)}job-ledger:{day}"


def recent(tenant: str, hour: str) -> str:
    """Hash: ``07|s`` and ``07|f`` -> how many runs succeeded, or did not, in that minute of an hour (YYYYMMDDHH)."""
    return f"{prefix(tenant)}recent:{hour}"


def capped(tenant: str) -> str:
    """Set of the tags whose runs wait until a worker lets one go: the tenant is at its limit of these."""
    return f"{prefix(tenant)}capped"


def pace(tenant: str) -> str:
    """String: until when, ms, the runs that have begun use up the tenant's rate."""
    return f"{prefix(tenant)}pace"


def pacer(tenant: str) -> str:
    """String: the worker that waits until the rate lets the next run begin, for as long as it does."""
    return f"{prefix(tenant)}pacer"


def fires(tenant: str) -> str:
    """String: until when, ms, the instants that were fired use up the tenant's rate of these."""
    return f"{prefix(tenant)}fires"


def noted(tenant: str) -> str:
    """String: nothing, for a second: written so that a node of a cluster can say how many replicas have that."""
    return f"{prefix(tenant)}noted"


def done(tenant: str, run_id: str) -> str:
    """Channel: says that a run which somebody waits for has ended."""
    return f"{prefix(tenant)}done:{run_id}"


def pool(tenant: str) -> str:
    """Channel: says to who keeps the pools that the tenant has work for one: the message is the tag."""
    return f"{prefix(tenant)}pool"


def wake(tenant: str) -> str:
    """Channel: says to the schedulers that the tenant's earliest instant may have changed."""
    return f"{prefix(tenant)}wake"


def session(digest: str) -> str:
    """String: one login of the console, by the SHA-256 of what its cookie holds; no tenant's, as those below."""
    return f"{NOBODY}session:{digest}"


def ticket(digest: str) -> str:
    """String: a link that opens the console once, by the SHA-256 of its token."""
    return f"{NOBODY}ticket:{digest}"


def tries(digest: str) -> str:
    """String: how often a login was tried of late with one name, or from one address, by its SHA-256."""
    return f"{NOBODY}tries:{digest}"
