"""Spells the keys of shared pools, which are no tenant's: the rest of `keys`, which has them all."""

from __future__ import annotations


def pool_prefix(name: str) -> str:
    """What every key of the shared pool *name* starts with; `KEYS[1]` of its functions. No tenant's: the operator's."""
    return f"taglane:pool:{{{name}}}:"


def pool_active(name: str) -> str:
    """Zset: tenant -> its virtual time, ms: of those that may have something to do, the lowest is next."""
    return f"{pool_prefix(name)}active"


def pool_owed(name: str) -> str:
    """Zset, part of `pool_active`: the tenants that have fewer slots than are guaranteed to them."""
    return f"{pool_prefix(name)}owed"


def pool_full(name: str) -> str:
    """Set of the tenants that have as many slots as they may."""
    return f"{pool_prefix(name)}full"


def pool_parked(name: str) -> str:
    """Zset: tenant -> when, ms, it is to be looked at again: a limit of its own keeps it waiting."""
    return f"{pool_prefix(name)}parked"


def pool_resting(name: str) -> str:
    """Zset: tenant -> its virtual time, of those that have nothing to do, and are ahead."""
    return f"{pool_prefix(name)}resting"


def pool_floor(name: str) -> str:
    """String: the virtual time of the tenant that was served last: nobody starts further behind."""
    return f"{pool_prefix(name)}floor"


def pool_wakes(name: str) -> str:
    """String: how many wakes there have been."""
    return f"{pool_prefix(name)}wakes"


def pool_seq(name: str) -> str:
    """Hash: tenant -> the number of its last wake."""
    return f"{pool_prefix(name)}seq"


def pool_terms(name: str) -> str:
    """Hash: tenant -> ``weight guaranteed borrow``, of those that have other terms than the usual."""
    return f"{pool_prefix(name)}terms"


def pool_used(name: str) -> str:
    """Hash: tenant -> the slots that it has now."""
    return f"{pool_prefix(name)}used"


def pool_cost(name: str) -> str:
    """Hash: tenant -> what its runs have taken of late, ms."""
    return f"{pool_prefix(name)}cost"


def pool_workers(name: str) -> str:
    """Hash: worker -> heartbeat counter."""
    return f"{pool_prefix(name)}workers"


def pool_pacer(name: str) -> str:
    """String: the worker that waits for the first of the parked."""
    return f"{pool_prefix(name)}pacer"


def pool_bell(name: str) -> str:
    """List of a few tokens: whoever takes one asks for a turn."""
    return f"{pool_prefix(name)}bell"


def pool_lost(name: str) -> str:
    """Set of the lives of workers that died, whose runs are being taken over."""
    return f"{pool_prefix(name)}lost"


def pool_visits(name: str, visitor: str) -> str:
    """Hash: tenant -> how many of its runs one life of a worker holds, or is about to fetch."""
    return f"{pool_prefix(name)}visits:{visitor}"


def pool_worker(name: str, worker_id: str) -> str:
    """Hash: a pool worker's life, host, tasks."""
    return f"{pool_prefix(name)}worker:{worker_id}"
