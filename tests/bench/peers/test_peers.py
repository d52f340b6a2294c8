"""The measurements beside peers, in short: they can't rot unseen. No peer is installed, and nothing looks at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench.peers import environments, measures, peer, table
from bench.peers.__main__ import measure
from bench.peers.catalogue import CATALOGUE
from bench.peers.figures import Figures

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(120)
def test_each_part_gives_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours in all parts, stock Celery in one, through every peer's driver; a taking adds to what was kept before."""
    for side in (peer.Ours, peer.Stock):
        monkeypatch.setattr(side, "settings", [peer.Setting("solo", "solo")])
    monkeypatch.setattr(measures, "SETTLED", 0)
    kept = tmp_path / "kept.json"
    measure(["taglane"], list(measures.PARTS), runs=20, rounds=1, figures=Figures(kept))
    measure(["celery"], ["latency"], runs=20, rounds=1, figures=Figures(kept))

    figures = Figures(kept)
    for part, columns in table.COLUMNS.items():
        whose = {"taglane", "celery"} if part == "latency" else {"taglane"}
        assert all(whose <= {who for who, _ in figures.each(part, what)} for what, _ in columns)
    table.draw(figures, tmp_path)
    assert {"peers-enqueue.svg", "peers-drain.svg", "peers-start.svg"} <= {path.name for path in tmp_path.iterdir()}


def test_an_aim_is_held_against_the_fastest_of_all() -> None:
    """Medians of the rounds; a peer that keeps no results counts too, and what is missed says so."""
    drained = [("taglane", "auto", 9_000.0), ("huey", "2", 3_000.0), ("huey", "2, no results", 8_000.0)]
    figures = Figures()
    for who, setting, rate in (*drained, *drained, ("taglane", "auto", 1.0)):
        figures.note("drain", who, setting, "rate", rate)

    found = {line.what: line.text() for line in table.ratios(figures)}
    assert found["drain: auto / the fastest peer, huey 2, no results"].endswith("MISSED")
    assert not found["drain: auto / the fastest peer with results, huey 2"].endswith("MISSED")
    assert list(table.lines(figures))[2].endswith("taglane auto")


def test_every_peer_is_pinned() -> None:
    """Each in a file of its own, to one version."""
    names = {name.partition(" ")[0] for name in CATALOGUE} - {"taglane", "celery"}

    assert {*names, "celery-redbeat"} == {path.stem for path in environments.PINS.glob("*.txt")}  # beside the fires
    assert all(environments.version(name)[0].isdigit() for name in names)
