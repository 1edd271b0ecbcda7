"""Addresses with passwords: where one cannot be read, nothing of it is repeated."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import SecretStr

from tidegauge.config import LogsSettings
from tidegauge.errors import ConfigurationError
from tidegauge.storage.cache.redis import RedisServer
from tidegauge.storage.elasticsearch.client import Client

_USERINFO = ["user:se/cret", "user:se#cret", "user:se?cret"]


@pytest.mark.parametrize("userinfo", _USERINFO)
def test_of_redis(userinfo: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        RedisServer(f"redis://{userinfo}@host:6379/0", timedelta(seconds=1))
    assert "REDIS_URL" in raised.value.message
    _is_not_told(raised.value)


@pytest.mark.parametrize("userinfo", _USERINFO)
def test_of_elasticsearch(userinfo: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Client(LogsSettings(elasticsearch_url=SecretStr(f"http://{userinfo}@host:9200")))
    assert "TIDEGAUGE_LOGS_ELASTICSEARCH_URL" in raised.value.message
    _is_not_told(raised.value)


def _is_not_told(error: ConfigurationError) -> None:
    assert "'se'" not in str(error)
    assert "cret" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__
