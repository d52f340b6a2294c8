"""The desk's health."""

from __future__ import annotations

import pytest
from desks import desk_of, services_at
from factories import enqueue
from taglane.errors import RoleNeeded, TagNotOwned


def test_figures_are_of_what_one_sees(url: str) -> None:
    """Of a tag of one's own; shared ones are for who sees all, as is the doctor."""
    with services_at(url, "acme", "globex") as services:
        enqueue(services.server, "acme")
        services.gathering.step()
        own, every = desk_of(services, "acme", "read").health, desk_of(services, None, "read").health

        assert (1, 1) == (own.scale("acme", 30).backlog, own.scale("acme", 30).wanted)
        assert 0 == every.scale("shared.small", 30).backlog
        with pytest.raises(TagNotOwned):
            own.scale("shared.small", 30)
        media, text = own.metrics()
        assert media.startswith("text/plain")
        assert b'tenant="acme"' in text
        assert b"globex" not in text
        assert b"globex" in every.metrics()[1]
        with pytest.raises(RoleNeeded):
            own.doctor()
