"""Every place where a gallery can lie, for tests that each of them must pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from probefusion.gallery.stores.opening import open_store
from probefusion.gallery.stores.store import Store


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, tmp_path) -> str:
    """Where nothing lies yet."""
    if request.param == "sqlite":
        return str(tmp_path / "gallery.db")
    return request.getfixturevalue("postgres_server").new_database()


@pytest.fixture
def store(address) -> Iterator[Store]:
    """A database with the empty collection `people`."""
    store = open_store(address)
    store.create("people")
    yield store
    store.close()
