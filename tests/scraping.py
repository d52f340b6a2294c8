"""How an exposition is read, as Prometheus reads it; and tenants for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families
from taglane.store import keys

if TYPE_CHECKING:
    from redis import Redis

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def add_tenants(redis: Redis, *names: str) -> None:
    """Enter tenants as the record has them; nobody logs in."""
    redis.hset(keys.TENANTS, mapping=dict.fromkeys(names, "{}"))


class Page:
    """An exposition, read as Prometheus reads it."""

    def __init__(self, text: bytes) -> None:
        self.text = text.decode()
        self.names = set[str]()
        self._samples: Samples = {}
        for family in text_string_to_metric_families(self.text):
            self.names.add(family.name)
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self._samples, f"twice: {key}"
                self._samples[key] = sample.value

    def __call__(self, name: str, /, **labels: str) -> float | None:
        """The value of one series; None where there is none."""
        return self._samples.get((name, frozenset(labels.items())))

    def labels(self, name: str) -> set[str]:
        """The names of a metric's labels."""
        return {label for (sample, labels) in self._samples for label, _ in labels if sample.startswith(name)}

    def values(self, label: str) -> set[str]:
        """All values of a label."""
        return {value for _, labels in self._samples for name, value in labels if name == label}
