"""The spelling of pools' keys; that it is the prelude's, `test_keys` says."""

from __future__ import annotations

import inspect

from taglane.store import keys, pool_keys


def test_all_keys_of_a_pool_are_one_slot_and_found_with_the_others() -> None:
    """Each begins with the pool's prefix, and is spelled by `keys` under the same name."""
    builders = dict(inspect.getmembers(pool_keys, inspect.isfunction))

    assert len(builders) > 10
    for name, build in builders.items():
        made = build("small", *["x"] * (len(inspect.signature(build).parameters) - 1))
        assert made.startswith("taglane:pool:{small}:")
        assert getattr(keys, name) is build
