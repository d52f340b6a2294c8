"""The measurements of very many jobs, in short: they can't rot unseen. Nothing here looks at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench import million
from bench.holding import Size, measure
from factories import make_server
from taglane.store.jobs import Jobs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(300)
def test_each_measurement_gives_figures(tmp_path: Path) -> None:
    """With real processes; what does not depend on the machine keeps its aim; all of it is drawn."""
    sheet = measure(Size([1_000], settle_s=0, idle_s=0.3, changes=10, seen=2), tmp_path)

    figures = {what.partition(": ")[2]: figure for what, figure in sheet.figures.items()}
    assert not [what for what, figure in figures.items() if figure.unit in {"bytes", "fires"} and figure.misses]
    assert {"apply of lists", "apply of templates", "a second apply", "an export", "idle scheduler"} <= set(figures)
    assert 3 == len(list(tmp_path.iterdir()))


def test_a_server_is_filled_as_an_apply_of_the_file_would(url: str, tmp_path: Path) -> None:
    """So that who fills it without the file measures the same."""
    server = make_server(url)
    million.register(server.redis, ["acme"])
    million.fill(server, ["acme"])
    million.write_file(tmp_path / "jobs.yaml", ["acme"], "lists")

    jobs = Jobs(server, million.PAYLOAD_LIMIT).list("acme")

    server.close()
    assert million.EACH == len(jobs)
    assert "region: eu" in (tmp_path / "jobs.yaml").read_text()
