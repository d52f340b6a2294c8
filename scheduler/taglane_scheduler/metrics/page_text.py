"""Writes families of metrics as text, by the library's own encoder; what stays the same between scrapes only once.

Ten thousand tenants are 18,000 lines, whose names and labels are the same in most scrapes: the library takes ten times
as long to write these as to write the values.
"""
# ruff: noqa: PLC0415 - prometheus_client is imported by the first scrape: a scheduler that nobody scrapes pays nothing

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    Labels = dict[str, str]


@dataclass(slots=True)
class _Written:
    """A family as it was written before: what stands above its lines, and before each value."""

    samples: Sequence[tuple[str, Labels]]
    pieces: list[str]


class PageText:
    """The text of pages of one kind, such as those of all tenants. For one thread.

    Args:
        encode: writes all that a registry collects: one of the library's encoders.
    """

    def __init__(self, encode: Callable[[Any], bytes]) -> None:
        self._encode = encode
        self._end = encode(_collecting([])).decode()
        self._written: dict[str, _Written] = {}

    def write(self, families: Sequence[Metric]) -> bytes:
        """Return what the encoder would write: of families whose samples are a name, labels and a value, no more."""
        from prometheus_client import utils

        spell: Callable[[float], str] = utils.floatToGoString

        parts: list[str] = []
        for family in families:
            shape = [(sample.name, sample.labels) for sample in family.samples]
            written = self._written.get(family.name)
            if written is None or written.samples != shape:
                written = self._written[family.name] = _Written(shape, self._pieces(family))
            pieces = iter(written.pieces)
            for sample in family.samples:
                parts += (next(pieces), spell(sample.value))
            parts.append(next(pieces))
        return ("".join(parts) + self._end).encode()

    def _pieces(self, family: Metric) -> list[str]:
        """Return the text between the values."""
        text = self._encode(_collecting([family])).decode().removesuffix(self._end)
        pieces, before = [], ""
        for line in text.removesuffix("\n").split("\n"):
            if line.startswith("#"):
                before += f"{line}\n"
            else:
                head, _, _ = line.rpartition(" ")
                pieces.append(f"{before}{head} ")
                before = "\n"
        return [*pieces, before]


def _collecting(families: Sequence[Metric]) -> Any:
    """A registry that collects these."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.registry import Collector

    class Gathered(Collector):
        def collect(self) -> Iterator[Metric]:
            return iter(families)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Gathered())
    return registry
