"""What a server refuses, and what it can't do."""

from __future__ import annotations

from taglane.errors.kinds import Refused, ServerUnavailable, TaglaneError


class OperatorNeeded(Refused):
    """A tenant's credential, where it takes the operator's."""

    def __init__(self, what: str, tenant: str) -> None:
        self.what, self.tenant = what, tenant
        told = f"{what} takes the operator's credential, and TAGLANE_URL holds that of tenant {tenant!r}"
        TaglaneError.__init__(self, told)


class OtherTenant(Refused):
    """A run reaches its own tenant alone, whatever credential its worker has."""

    def __init__(self, own: str, other: str) -> None:
        self.own, self.other = own, other
        told = f"a run of tenant {own!r} reaches no other tenant, and {other!r} is one: do it from outside of tasks"
        TaglaneError.__init__(self, told)


class RoleNeeded(Refused):
    """Who asks may not do that: `needed` says which role may, `tenant` for whom; None is all tenants."""

    def __init__(self, what: str, needed: str, has: str, tenant: str | None = None) -> None:
        self.what, self.needed, self.has, self.tenant = what, needed, has, tenant
        whose = "for all tenants" if tenant is None else f"for tenant {tenant!r}"
        told = f"{what} takes the role {needed!r} {whose}, and yours is {has!r}: ask who administers the console"
        TaglaneError.__init__(self, told)


class NotFenced(Refused):
    """The operator's credential may make no users: tenants have no passwords, and isolation is a convention."""

    def __init__(self, what: str) -> None:
        self.what = what
        TaglaneError.__init__(
            self,
            f"{what}: the server lets this credential make no users (ACL SETUSER), so tenants have no passwords "
            "of their own; grant it that, start a scheduler, and ask again",
        )


class ServerFull(ServerUnavailable):
    """The server's maxmemory is reached: nothing was written."""

    def __init__(self) -> None:
        super().__init__(
            "the server is out of memory (maxmemory) and took nothing: let the workers drain, or raise maxmemory"
        )


class NotReplicated(ServerUnavailable):
    """The primary has written it, and too few replicas have it yet: should the primary be lost now, it may be too."""

    def __init__(self, reached: int, wanted: int) -> None:
        self.reached, self.wanted = reached, wanted
        super().__init__(
            f"the run is made on the primary, and only {reached} of {wanted} replicas have it yet (TAGLANE_REPLICAS): "
            "ask again with the same idempotency key, which makes no second one"
        )


class NodeUnavailable(ServerUnavailable):
    """One node of a cluster gives no answer that its tenants could use: they wait, and no others do.

    `moving` says that the node is there, and that the slot is on its way to another or has no node now.
    """

    def __init__(self, told: str, *, moving: bool = False) -> None:
        self.moving = moving
        super().__init__(told)


class ClusterUrlNeeded(ServerUnavailable):
    """The url is one server's, and that is a node of a cluster: it has some of the tenants only."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"the server at {address} is a node of a cluster: let TAGLANE_URL begin with cluster:// (with TLS: "
            "clusters://) instead of redis://, and name no database"
        )


class NoCluster(ServerUnavailable):
    """The url is a cluster's, and the server there runs by itself."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"the server at {address} is no cluster: let TAGLANE_URL begin with redis:// (with TLS: rediss://) instead "
            "of cluster://"
        )


class LibraryMissing(ServerUnavailable):
    """The server has no functions of ours yet."""

    def __init__(self) -> None:
        super().__init__(
            "the server has no Taglane functions: start the scheduler once with the operator's url  (taglane scheduler)"
        )
