"""An Elasticsearch for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import elasticsearch


@pytest.fixture(scope="session")
def elasticsearch_url() -> Iterator[str]:
    """For the session; tests keep apart by data streams."""
    elasticsearch.choice().need("Elasticsearch")
    with elasticsearch.running() as url:
        yield url
