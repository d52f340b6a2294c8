"""The desk of one who asks: finds out whom it may see, and hands out what it may do, by the kind of thing.

Every method of the groups checks role and tenant before it reads or writes; whatever they forget, the block in which
they run (`Desk.sitting`) can spell no key of another tenant.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from taglane import context
from taglane.errors import BadName, RunNotFound
from taglane.model.names import check_tenant, tenant_of_run

from taglane_scheduler.desk.alerts import AlertDesk
from taglane_scheduler.desk.audits import AuditDesk
from taglane_scheduler.desk.bulks import BulkDesk
from taglane_scheduler.desk.calls import CallDesk
from taglane_scheduler.desk.dead_letters import DeadLetterDesk
from taglane_scheduler.desk.health import HealthDesk
from taglane_scheduler.desk.job_pages import JobPageDesk
from taglane_scheduler.desk.jobs import JobDesk
from taglane_scheduler.desk.jobs_files import JobsFileDesk
from taglane_scheduler.desk.keys import KeyDesk
from taglane_scheduler.desk.people import PeopleDesk
from taglane_scheduler.desk.queues import QueueDesk
from taglane_scheduler.desk.records import RecordDesk
from taglane_scheduler.desk.run_logs import LogDesk
from taglane_scheduler.desk.runs import RunDesk
from taglane_scheduler.desk.searches import SearchDesk
from taglane_scheduler.desk.standing import StandingDesk
from taglane_scheduler.desk.templates import TemplateDesk
from taglane_scheduler.desk.tenants import TenantDesk
from taglane_scheduler.desk.usage import UsageDesk
from taglane_scheduler.desk.workers import WorkerDesk
from taglane_scheduler.tenancy.audit import acting_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.access.principal import Principal, Role
    from taglane_scheduler.services import Services


class Desk:
    """What one principal may do.

    Args:
        services: of the operator's credential.
        principal: who asks.
        address: from where, for the audit log.
    """

    def __init__(self, services: Services, principal: Principal, address: str = "") -> None:
        self.services = services
        self.principal = principal
        self.address = address

    @contextmanager
    def sitting(self) -> Iterator[None]:
        """Do the block for the principal: its tenant alone is in reach, and the audit log names it."""
        with context.confined(self.principal.tenant), acting_for(self.principal.name, self.address):
            yield

    @cached_property
    def jobs(self) -> JobDesk:
        """Jobs: list, show, add, pause, trigger, delete."""
        return JobDesk(self)

    @cached_property
    def runs(self) -> RunDesk:
        """Runs: find, show, cancel, retry, enqueue."""
        return RunDesk(self)

    @cached_property
    def standing(self) -> StandingDesk:
        """How tenants stand now, and what needs attention."""
        return StandingDesk(self)

    @cached_property
    def job_pages(self) -> JobPageDesk:
        """Lists of jobs, what they ran last, what they used."""
        return JobPageDesk(self)

    @cached_property
    def searches(self) -> SearchDesk:
        """The search for runs."""
        return SearchDesk(self)

    @cached_property
    def calls(self) -> CallDesk:
        """What runs were called with, and new ones with other params."""
        return CallDesk(self)

    @cached_property
    def logs(self) -> LogDesk:
        """What runs have logged."""
        return LogDesk(self)

    @cached_property
    def bulks(self) -> BulkDesk:
        """Cancel, or run again, all that a query takes."""
        return BulkDesk(self)

    @cached_property
    def tenants(self) -> TenantDesk:
        """Tenants: list, pause, drain, limit."""
        return TenantDesk(self)

    @cached_property
    def records(self) -> RecordDesk:
        """The tenants' records: create, rotate, cut off, delete; what they have used."""
        return RecordDesk(self)

    @cached_property
    def templates(self) -> TemplateDesk:
        """Jobs that many tenants have."""
        return TemplateDesk(self)

    @cached_property
    def queues(self) -> QueueDesk:
        """Queues and workers."""
        return QueueDesk(self)

    @cached_property
    def workers(self) -> WorkerDesk:
        """Workers and pools, with what each holds."""
        return WorkerDesk(self)

    @cached_property
    def dead_letters(self) -> DeadLetterDesk:
        """Dead letters: list, replay, drop."""
        return DeadLetterDesk(self)

    @cached_property
    def jobs_files(self) -> JobsFileDesk:
        """Jobs files: compare, apply, export."""
        return JobsFileDesk(self)

    @cached_property
    def usage(self) -> UsageDesk:
        """What tenants and jobs have used."""
        return UsageDesk(self)

    @cached_property
    def alerts(self) -> AlertDesk:
        """What is wrong, and who is told of it."""
        return AlertDesk(self)

    @cached_property
    def audits(self) -> AuditDesk:
        """What was done, and what was refused."""
        return AuditDesk(self)

    @cached_property
    def health(self) -> HealthDesk:
        """The doctor, metrics, figures for autoscalers."""
        return HealthDesk(self)

    @cached_property
    def people(self) -> PeopleDesk:
        """Who may log in: list, add, change, delete."""
        return PeopleDesk(self)

    @cached_property
    def keys(self) -> KeyDesk:
        """API keys: list, create, revoke."""
        return KeyDesk(self)

    def tenant(self, name: str, role: Role, what: str) -> str:
        """Return *name* when it is a tenant that the principal sees, and *role* is one that it has.

        Raises:
            TenantNotFound: there is none, or it is another's: who asks can't tell which.
            RoleNeeded: *what* takes more than its role.
        """
        check_tenant(name)
        self.principal.require_sight(name)
        self.principal.require(role, what)
        if self.principal.tenant is None:
            self.services.tenants.get(name)
        return name

    def tenants_in_reach(self, given: str | None = None) -> list[str]:
        """Return the tenants that a list is about: the one given, or all that the principal sees, by name.

        Raises:
            TenantNotFound: there is none, or it is another's.
        """
        if given:
            return [self.tenant(given, "read", "reading")]
        if self.principal.tenant is not None:
            return [self.principal.tenant]
        return sorted(self.services.tenants.names())

    def tenant_of_run(self, run_id: str, tenant: str | None, role: Role, what: str) -> str:
        """Return whose run it is: as the id says, or *tenant* for an id that does not.

        Raises:
            RunNotFound: it is another tenant's, or nobody's.
            RoleNeeded: *what* takes more than the principal's role.
        """
        owner = _named_in(run_id) or tenant or self.principal.tenant
        if owner is None or not self.principal.sees(owner):
            raise RunNotFound(run_id)
        self.principal.require(role, what)
        return owner

    def note(self, action: str, tenant: str, **details: str | int) -> None:
        """Enter into the audit log what was just done."""
        self.services.audit.note(action, tenant, **details)


def _named_in(run_id: str) -> str | None:
    try:
        return tenant_of_run(run_id)
    except BadName:
        return None
