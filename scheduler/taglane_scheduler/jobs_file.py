"""Reads a jobs file, the definitions of many tenants' jobs in YAML, whole or not at all. Pure.

templates:                          # jobs that many tenants have
  nightly: {task: shop.tasks.report, cron: "H 3 * * *", params: {region: eu, days: 1}}
  mail: {task: shop.tasks.mail, every: 5m, tag: "{tenant}.mail"}
defaults:                           # of every tenant below, unless it says otherwise
  templates: [nightly]
  limits: {running: 10}
tenants:
  acme:
    timezone: Europe/Berlin         # goes before a template's, and a job's own before both
    limits: {running: 40, rate: 10/s}
    templates: [mail]
    jobs:
      nightly: {params: {region: apac}}                                   # its template's, with another region
      weekly:  {template: nightly, cron: "H 4 * * MON", params: {days: 7}}
      sync:    {task: shop.tasks.sync, every: 30s, tag: acme.io, retry: {attempts: 5, delay: 10s}}
  globex: {jobs: {nightly: off}}
  initech:

The server keeps whole jobs, and knows nothing of templates: a change of one is a change of each of its jobs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taglane.errors import BadJobsFile
from taglane.model.limits import Limits
from taglane.model.names import check_job, check_tenant

from taglane_scheduler.job_fields import FIELDS, read_job, read_name, read_text, read_zone
from taglane_scheduler.job_templates import check_known, merged, read_taken, read_templates
from taglane_scheduler.limit_fields import limits_of
from taglane_scheduler.yaml_tree import BadYaml, Key, Value, fields, pairs, read_yaml, size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taglane.model.job import Job

    from taglane_scheduler.job_templates import Templates

MOST_BYTES = 200_000_000
"""Memory, about, that a file's jobs may take with its templates filled in: a line may make a thousand."""

_JOB_BYTES = 1_000

_OFF = ("off", False)  # YAML 1.2 reads `off` as a text, 1.1 as false


@dataclass(slots=True)
class JobsFile:
    """What a jobs file says. `tenants` are all that it names, also those without a job."""

    tenants: list[str] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    templates: dict[tuple[str, str], str] = field(default_factory=dict)
    """Of which template a job is, by its tenant and name; those of none are left out."""

    limits: dict[str, Limits] = field(default_factory=dict)
    """All limits of a tenant, where the file names any for it or for every tenant."""

    off: list[tuple[str, str]] = field(default_factory=list)
    """The jobs, by tenant and name, that a tenant is not to have though they are a template's."""


def read_jobs_file(text: str, path: str = "jobs.yaml", check: Callable[[str], object] = str) -> JobsFile:
    """Read and check all of it; *path* is for the messages, *check* raises for a tenant that is not to be named.

    Raises:
        BadJobsFile: with the line and column of the first mistake, counted from 1.
    """
    try:
        return _read(text, check)
    except BadYaml as error:
        raise BadJobsFile(path, error.line, error.column, error.why) from error


def _read(text: str, check: Callable[[str], object]) -> JobsFile:
    top = fields(read_yaml(text), ("templates", "defaults", "tenants"), "a jobs file")
    if "tenants" not in top:
        raise BadYaml(1, 1, "there is no 'tenants' in it")
    templates = read_templates(top["templates"]) if "templates" in top else {}
    reader = _Reader(templates, top.get("defaults", Value(None, 1, 1)))
    tenants = [(read_name(key, check_tenant), body) for key, body in pairs(top["tenants"], "tenants").items()]
    for name, _ in tenants:
        check(name)
    for name, body in tenants:
        reader.tenant(name, body)
    return reader.file


class _Reader:
    """Reads one tenant after the other into a `JobsFile`."""

    def __init__(self, templates: Templates, defaults: Value) -> None:
        self.file = JobsFile()
        self._left = MOST_BYTES
        self._templates = templates
        given = fields(defaults, ("timezone", "limits", "templates"), "defaults")
        self._zone = _zone(given)
        self._limits = limits_of(given["limits"], Limits()) if "limits" in given else None
        self._taken = read_taken(given["templates"], templates) if "templates" in given else {}

    def tenant(self, tenant: str, body: Value) -> None:
        """Read what the file says of one tenant."""
        given = fields(body, ("timezone", "limits", "templates", "jobs"), f"tenant {tenant!r}")
        self.file.tenants.append(tenant)
        if "limits" in given:
            self.file.limits[tenant] = limits_of(given["limits"], self._limits or Limits())
        elif self._limits is not None:
            self.file.limits[tenant] = self._limits
        zone = _zone(given)
        taken = self._taken
        if "templates" in given:
            taken = {**taken, **read_taken(given["templates"], self._templates)}
        own = pairs(given["jobs"], "jobs") if "jobs" in given else {}
        named = {key.name for key in own}
        for name, place in taken.items():
            if name not in named:
                self._of_template(tenant, name, name, {}, zone, place)
        for key, job in own.items():
            self._job(tenant, key, job, zone, taken)

    def _job(self, tenant: str, key: Key, body: Value, zone: Value | None, taken: Mapping[str, Value]) -> None:
        name = read_name(key, check_job)
        if body.data in _OFF:
            check_known(name, key, self._templates)
            self.file.off.append((tenant, name))
            return
        given = fields(body, (*FIELDS, "template"), f"job {name!r}")
        if "template" in given:
            place = given.pop("template")
            template = read_text("template", place)
            check_known(template, place, self._templates)
            self._of_template(tenant, name, template, given, zone, key)
        elif name in taken and "task" not in given:
            self._of_template(tenant, name, name, given, zone, key)
        elif name in self._templates and "task" not in given:
            raise BadYaml(key.line, key.column, f"job {name!r} has no 'task': is it to have  template: {name} ?")
        else:
            self.file.jobs.append(read_job(tenant, name, _in_zone(given, zone or self._zone), key))

    def _of_template(  # noqa: PLR0913 - a job, its template, and what goes before that
        self, tenant: str, name: str, template: str, own: Mapping[str, Value], zone: Value | None, place: Key | Value
    ) -> None:
        given = merged(self._templates[template], _in_zone(own, zone), tenant)
        self._left -= _JOB_BYTES + sum(map(size, given.values()))
        if self._left < 0:
            raise BadYaml(place.line, place.column, "too large with its templates filled in: make several files of it")
        try:
            job = read_job(tenant, name, _in_zone(given, self._zone), place)
        except BadYaml as error:
            told = f"{error.why} (job {name!r} of tenant {tenant!r}, template {template!r})"
            raise BadYaml(error.line, error.column, told) from error
        self.file.jobs.append(job)
        self.file.templates[tenant, name] = template


def _zone(given: Mapping[str, Value]) -> Value | None:
    """Return a tenant's zone, checked, with its place."""
    if "timezone" not in given:
        return None
    read_zone(given["timezone"])
    return given["timezone"]


def _in_zone(given: Mapping[str, Value], zone: Value | None) -> Mapping[str, Value]:
    """Return a job's fields with this zone, unless they have one."""
    return given if zone is None or "timezone" in given else {**given, "timezone": zone}
