"""Every place where a gallery can lie, and every engine of archives, for tests that each of them must pass."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from probefusion.archives.engines.choose import ENGINES, choose_engine
from probefusion.archives.engines.engine import Engine
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


@pytest.fixture(scope="session", params=ENGINES)
def any_engine(request) -> Iterator[Engine]:
    """Every engine in turn, with two workers on this machine; skips where its library is not installed."""
    libraries = {"ray": "ray", "dask": "distributed"}
    if request.param in libraries and find_spec(libraries[request.param]) is None:
        pytest.skip(f"{libraries[request.param]} is not installed")
    with choose_engine(request.param, num_workers=2) as engine:
        yield engine
