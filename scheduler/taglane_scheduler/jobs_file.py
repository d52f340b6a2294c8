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
from io import StringIO
from typing import IO, TYPE_CHECKING, NamedTuple

from taglane.errors import BadJobsFile
from taglane.model.limits import Limits
from taglane.model.names import SHARED, check_job, check_tenant, owner_of

from taglane_scheduler.job_fields import FIELDS, read_job, read_name, read_text, read_zone
from taglane_scheduler.job_templates import TENANT, check_known, merged, read_taken, read_templates
from taglane_scheduler.limit_fields import limits_of
from taglane_scheduler.yaml_events import BadYaml
from taglane_scheduler.yaml_tree import Document, Key, Value, check_field, fields, pairs, read_yaml, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from taglane.model.job import Job

    from taglane_scheduler.job_templates import Templates

MOST_BYTES = 200_000_000
"""Memory, about, that jobs may take with their templates filled in, a line may make a thousand: those of a file that is
read whole, or those of one tenant."""

_JOB_BYTES = 1_000
_MOST_SHARED = 10_000  # templates, each in a zone, whose job is made once for all tenants that have it as it is
_COMMON = ("templates", "defaults")
_PIECE = 1 << 20  # characters

LARGE = 1_000_000
"""Characters of a text that is better not held in memory. Of a shorter one ruamel says what is wrong: see `events`."""

_OFF = ("off", False)  # YAML 1.2 reads `off` as a text, 1.1 as false


class WantedJob(NamedTuple):
    """A job that the file says a tenant has. *made* is that of another tenant perhaps, and the same but for its tag."""

    template: str | None
    """Of which template it is."""
    tag: str
    made: Job
    line: int = 0
    column: int = 0
    """Where the file says so."""

    def of(self, tenant: str) -> Job:
        """Return the job of *tenant*."""
        if self.made.tenant == tenant:
            return self.made
        return self.made.model_copy(update={"tenant": tenant, "tag": self.tag})


@dataclass(slots=True)
class TenantPart:
    """What a jobs file says of one tenant."""

    tenant: str
    limits: Limits | None = None
    """All its limits, where the file names any for it or for every tenant."""
    jobs: list[WantedJob] = field(default_factory=list)
    off: list[str] = field(default_factory=list)
    """The jobs that it is not to have though they are a template's."""


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

    def add(self, part: TenantPart) -> None:
        """Take in what it says of one tenant."""
        self.tenants.append(part.tenant)
        if part.limits is not None:
            self.limits[part.tenant] = part.limits
        self.off += [(part.tenant, name) for name in part.off]
        for wanted in part.jobs:
            job = wanted.of(part.tenant)
            self.jobs.append(job)
            if wanted.template is not None:
                self.templates[part.tenant, job.name] = wanted.template


def read_jobs_file(text: str, path: str = "jobs.yaml", check: Callable[[str], object] = str) -> JobsFile:
    """Read and check all of it; *path* is for the messages, *check* raises for a tenant that is not to be named.

    Raises:
        BadJobsFile: with the line and column of the first mistake, counted from 1.
    """
    found = JobsFile()
    for part in read_parts(text, path, check):
        found.add(part)
    return found


def read_parts(text: str, path: str = "jobs.yaml", check: Callable[[str], object] = str) -> Iterator[TenantPart]:
    """Read a text as `read_jobs_file` does, and yield what it says of each tenant, in its order."""
    try:
        yield from _of_whole(read_yaml(text), check)
    except BadYaml as error:
        raise BadJobsFile(path, error.line, error.column, error.why) from error


def stream_parts(file: IO[str] | str, path: str = "jobs.yaml") -> Iterator[TenantPart]:
    """Read a file, or a text, and yield what it says of each tenant, in its order: it may make any number of jobs.

    A mistake is found when its tenant's turn has come. What is common to the tenants is read first, wherever it stands.
    A file is read twice, from its beginning on.

    Raises:
        BadJobsFile: with the line and column of the first mistake, counted from 1.
    """
    try:
        common = _common(file)
        yield from _of_document(Document(_rewound(file)), common)
    except BadYaml as error:
        raise BadJobsFile(path, error.line, error.column, error.why) from error


def _of_whole(value: Value, check: Callable[[str], object]) -> Iterator[TenantPart]:
    top = fields(value, (*_COMMON, "tenants"), "a jobs file")
    if "tenants" not in top:
        raise BadYaml(1, 1, "there is no 'tenants' in it")
    reader = _Reader(top)
    tenants = [(read_name(key, check_tenant), body) for key, body in pairs(top["tenants"], "tenants").items()]
    for name, _ in tenants:
        check(name)
    for name, body in tenants:
        yield reader.tenant(name, body)


def _rewound(file: IO[str] | str) -> IO[str] | str:
    if not isinstance(file, str):
        file.seek(0)
    return file


def _common(file: IO[str] | str) -> dict[str, Value]:
    """Return the templates and the defaults: of a file that begins with them, no more is read."""
    said = _said(file)
    document, found = Document(_rewound(file)), dict[str, Value]()
    if not document.is_mapping():
        return found
    for key, known in document.pairs():
        check_field(key, (*_COMMON, "tenants"), "a jobs file")
        if key.name == "tenants" and said <= found.keys():
            break
        if key.name == "tenants" and known is None and document.is_mapping():
            for _, body in document.pairs(1):
                _ = document.value() if body is None else body
        elif key.name in _COMMON:
            found[key.name] = document.value() if known is None else known
        elif known is None:
            document.value()
    return found


def _said(file: IO[str] | str) -> set[str]:
    """Return which of the words there are in a file that may begin what is common to its tenants."""
    stream = StringIO(file) if isinstance(file, str) else file
    stream.seek(0)
    found: set[str] = set()
    end = ""
    while piece := stream.read(_PIECE):
        found |= {word for word in _COMMON if word in end + piece}
        end = piece[-len(_COMMON[0]) :]
    return found


def _of_document(document: Document, common: Mapping[str, Value]) -> Iterator[TenantPart]:
    if not document.is_mapping():
        yield from _of_whole(document.value(), str)
        document.end()
        return
    reader, is_there = _Reader(common, one_by_one=True), False
    for key, known in document.pairs():
        check_field(key, (*_COMMON, "tenants"), "a jobs file")
        if key.name in _COMMON and key.name not in common:  # `_said` has not seen it
            raise BadYaml(key.line, key.column, f"{key.name!r} is to be written so, without escapes")
        if key.name == "tenants":
            is_there = True
            for name, body in _tenants(document, known):
                yield reader.tenant(read_name(name, check_tenant), document.value() if body is None else body)
        elif known is None:
            document.value()
    document.end()
    if not is_there:
        raise BadYaml(1, 1, "there is no 'tenants' in it")


def _tenants(document: Document, known: Value | None) -> Iterable[tuple[Key, Value | None]]:
    if known is None and document.is_mapping():
        return document.pairs(1)
    return pairs(document.value() if known is None else known, "tenants").items()


class _Reader:
    """Reads one tenant after the other; *one_by_one*, what one says may take as much memory as else all together."""

    def __init__(self, common: Mapping[str, Value], *, one_by_one: bool = False) -> None:
        self._templates: Templates = read_templates(common["templates"]) if "templates" in common else {}
        self._left = MOST_BYTES
        self._one_by_one = one_by_one
        self._shared: dict[tuple[str, str | None], tuple[Job, str]] = {}
        given = fields(common.get("defaults", Value(None, 1, 1)), ("timezone", "limits", "templates"), "defaults")
        self._zone = _zone(given)
        self._limits = limits_of(given["limits"], Limits()) if "limits" in given else None
        self._taken = read_taken(given["templates"], self._templates) if "templates" in given else {}

    def tenant(self, tenant: str, body: Value) -> TenantPart:
        """Read what the file says of one tenant."""
        given = fields(body, ("timezone", "limits", "templates", "jobs"), f"tenant {tenant!r}")
        if self._one_by_one:
            self._left = MOST_BYTES
        part = TenantPart(tenant, self._limits)
        if "limits" in given:
            part.limits = limits_of(given["limits"], self._limits or Limits())
        zone = _zone(given)
        taken = self._taken
        if "templates" in given:
            taken = {**taken, **read_taken(given["templates"], self._templates)}
        own = pairs(given["jobs"], "jobs") if "jobs" in given else {}
        named = {key.name for key in own}
        for name, place in taken.items():
            if name not in named:
                part.jobs.append(self._as_it_is(tenant, name, zone, place))
        for key, job in own.items():
            self._job(part, key, job, zone, taken)
        return part

    def _job(self, part: TenantPart, key: Key, body: Value, zone: Value | None, taken: Mapping[str, Value]) -> None:
        name = read_name(key, check_job)
        if body.data in _OFF:
            check_known(name, key, self._templates)
            part.off.append(name)
            return
        given = fields(body, (*FIELDS, "template"), f"job {name!r}")
        if "template" in given:
            place = given.pop("template")
            template = read_text("template", place)
            check_known(template, place, self._templates)
            part.jobs.append(self._of_template(part.tenant, name, template, given, zone, key))
        elif name in taken and "task" not in given:
            part.jobs.append(self._of_template(part.tenant, name, name, given, zone, key))
        elif name in self._templates and "task" not in given:
            raise BadYaml(key.line, key.column, f"job {name!r} has no 'task': is it to have  template: {name} ?")
        else:
            job = read_job(part.tenant, name, _in_zone(given, zone or self._zone), key)
            part.jobs.append(WantedJob(None, job.tag, job, key.line, key.column))

    def _as_it_is(self, tenant: str, name: str, zone: Value | None, place: Value) -> WantedJob:
        """Return a template's own job: what is made for one tenant is others' too, where it is the same but its tag."""
        known = (name, None if zone is None else str(zone.data))
        if known in self._shared:
            job, tag = self._shared[known]
            self._count(_JOB_BYTES, place)
            return WantedJob(name, tag.replace(TENANT, tenant), job, place.line, place.column)
        wanted = self._of_template(tenant, name, name, {}, zone, place)
        tag = str(self._templates[name]["tag"].data) if "tag" in self._templates[name] else TENANT
        if len(self._shared) < _MOST_SHARED and _is_anyones(tag) and not wanted.made.no_worker.startswith("overflow"):
            self._shared[known] = (wanted.made, tag)
        return wanted

    def _of_template(  # noqa: PLR0913 - a job, its template, and what goes before that
        self, tenant: str, name: str, template: str, own: Mapping[str, Value], zone: Value | None, place: Key | Value
    ) -> WantedJob:
        given = merged(self._templates[template], _in_zone(own, zone), tenant)
        self._count(_JOB_BYTES + sum(map(size, given.values())), place)
        try:
            job = read_job(tenant, name, _in_zone(given, self._zone), place)
        except BadYaml as error:
            told = f"{error.why} (job {name!r} of tenant {tenant!r}, template {template!r})"
            raise BadYaml(error.line, error.column, told) from error
        return WantedJob(template, job.tag, job, place.line, place.column)

    def _count(self, taken: int, place: Key | Value) -> None:
        self._left -= taken
        if self._left < 0:
            raise BadYaml(place.line, place.column, "too large with its templates filled in: make several files of it")


def _is_anyones(tag: str) -> bool:
    """Whether any tenant may ask for a template's tag, once it is filled in for one of them."""
    return tag == TENANT or owner_of(tag) == SHARED or (tag.startswith(f"{TENANT}.") and tag.count(TENANT) == 1)


def _zone(given: Mapping[str, Value]) -> Value | None:
    """Return a tenant's zone, checked, with its place."""
    if "timezone" not in given:
        return None
    read_zone(given["timezone"])
    return given["timezone"]


def _in_zone(given: Mapping[str, Value], zone: Value | None) -> Mapping[str, Value]:
    """Return a job's fields with this zone, unless they have one."""
    return given if zone is None or "timezone" in given else {**given, "timezone": zone}
