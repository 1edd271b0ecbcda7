"""Fixtures that every test may use; what starts servers stands in tests/servers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.servers import elasticsearch, redis, timescaledb
from tests.servers import product as products
from tests.servers.product import UNTHROTTLED_SETTINGS, Product
from tests.servers.timescaledb import TestDatabase
from tests.spread import Groups, in_order
from tidegauge import config
from tidegauge.config import Settings
from tidegauge.storage.postgres import migrate


def pytest_report_header() -> list[str]:
    """Say what the tests run on."""
    servers = {"TimescaleDB": timescaledb, "Elasticsearch": elasticsearch, "Redis": redis}
    return [f"{name}: {server.choice().what}" for name, server in servers.items()]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one of several processes (pytest-xdist): what is done first."""
    if hasattr(config, "workerinput"):
        in_order(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """What one process does together."""
    return Groups(config, log)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """A developer's own TIDEGAUGE_* variables are not the tests'."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(config.PREFIX) and not name.startswith("TIDEGAUGE_TEST_"):
                patch.delenv(name)
        for name in config.ALIASES:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The defaults, but that nobody asks too often."""
    return config.load({}, env_file=None, overrides={"throttle": UNTHROTTLED_SETTINGS})


@pytest_asyncio.fixture(scope="session")
async def database(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> AsyncIterator[TestDatabase]:
    """A database at the newest schema, shared by the session: tests keep apart by names, tenants and times."""
    import asyncio

    async with timescaledb.database(tmp_path_factory.mktemp("database") / "data") as found:
        await asyncio.to_thread(migrate.upgrade, found.owner_dsn, settings, lambda _: None)
        if found.kind != "embedded":
            await timescaledb.let_reader_in(found.owner_dsn)
        yield found


@pytest.fixture(scope="session")
def database_dsn(database: TestDatabase) -> str:
    """The owner's address of :func:`database`."""
    return database.owner_dsn


@pytest.fixture(scope="session")
def elasticsearch_server() -> Iterator[elasticsearch.Server]:
    """An Elasticsearch for the session; who stops it starts it again."""
    elasticsearch.choice().need("Elasticsearch")
    with elasticsearch.running() as server:
        yield server


@pytest.fixture(scope="session")
def elasticsearch_url(elasticsearch_server: elasticsearch.Server) -> str:
    """Its address; tests keep apart by data streams."""
    return elasticsearch_server.url


@pytest_asyncio.fixture(scope="session")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    """The whole product, running, on the embedded database; shared by the session."""
    async with products.running(tmp_path_factory.mktemp("product") / "data") as running:
        yield running


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder of a test's own, for tests that kill."""
    return tmp_path / "data"
