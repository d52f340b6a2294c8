"""Writes a jobs file of what the server has, for `read_jobs_file` to read back as it was. Pure."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter
from taglane.model.limits import Limits, spelled

from taglane_scheduler.jobs_diff import fields_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taglane.model.job import Job

_WIDEST = 100_000  # characters: a text is never broken over lines


def jobs_text(limits: Mapping[str, Limits], jobs: Iterable[Job]) -> str:
    """Return the file: the tenants are those of *limits*, in that order, and have *jobs* of theirs.

    Of a tenant without limits it names none, and so leaves alone what the tenant has where the file is applied.
    """
    tenants: dict[str, dict[str, Any]] = {
        tenant: {"limits": spelled(each)} if each != Limits() else {} for tenant, each in limits.items()
    }
    for job in jobs:
        tenants[job.tenant].setdefault("jobs", {})[job.name] = fields_of(job)
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.width = _WIDEST
    yaml.sort_base_mapping_type_on_output = False
    stream = io.StringIO()
    yaml.dump({"tenants": tenants}, stream)
    return stream.getvalue()


class _Representer(SafeRepresenter):
    """Says all of a value where it stands, and quotes a text that holds what YAML would fold or leave out."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write no anchors."""
        del data
        return True

    def text(self, data: str) -> Any:
        """Represent a text."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if data.isprintable() else '"')


_Representer.add_representer(str, _Representer.text)
