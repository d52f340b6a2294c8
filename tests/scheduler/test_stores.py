"""The stores over one connection."""

from __future__ import annotations

from functools import cached_property

from taglane.settings import load_settings
from taglane.store.server import Server
from taglane_scheduler.stores import Stores


def test_each_is_built_once_and_only_when_it_is_asked_for(url: str) -> None:
    """Nothing connects before; closing closes what has a connection of its own."""
    settings = load_settings(url=url)
    stores = Stores(Server(url), settings)
    names = [name for name, member in vars(Stores).items() if isinstance(member, cached_property)]
    assert not set(names) & vars(stores).keys()

    stores.close()
    for name in names:
        assert getattr(stores, name) is getattr(stores, name)
    stores.close()
