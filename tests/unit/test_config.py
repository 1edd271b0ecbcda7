"""Settings: what stops the start, and what the message says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge import config
from tidegauge.errors import ConfigurationError


def message(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        config.load(environ, env_file=None)
    return caught.value.message


def test_a_misspelt_variable_stops_the_start_and_the_right_one_is_suggested() -> None:
    text = message({"TIDEGAUGE_LIFECYCLE_TRACES_RETENTON": "14d"})
    assert "TIDEGAUGE_LIFECYCLE_TRACES_RETENTON is not a setting" in text
    assert "did you mean TIDEGAUGE_LIFECYCLE_TRACES_RETENTION?" in text


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TIDEGAUGE_API_LISTEN", "everywhere", "expected host:port"),
        ("TIDEGAUGE_LIFECYCLE_TRACES_CHUNK", "soon", "valid timedelta"),
        ("TIDEGAUGE_INGEST_GROUP_MAX_ROWS", "0", "greater than or equal to 1"),
        ("TIDEGAUGE_OTLP_MAX_BODY_BYTES", "lots", "byte string"),
        ("TIDEGAUGE_DATABASE_READER_ROLE", "robert'); drop", "match pattern"),
    ],
)
def test_a_malformed_value_is_named_with_what_is_allowed(name: str, value: str, says: str) -> None:
    text = message({name: value})
    assert f"{name}={value!r}" in text
    assert says in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIDEGAUGE_API_TOKEN", "hunter2"),
        ("DATABASE_URL", "mysql://root:hunter2@db/telemetry"),
        ("TIDEGAUGE_DATABASE_URL", "hunter2"),
    ],
)
def test_a_malformed_secret_is_not_shown(name: str, value: str) -> None:
    text = message({name: value})
    assert f"{name}=********" in text
    assert "hunter2" not in text


def test_all_faults_are_told_at_once() -> None:
    text = message({"TIDEGAUGE_NO_SUCH": "1", "TIDEGAUGE_API_LISTEN": "x", "TIDEGAUGE_EMBEDDED_MAX_CONNECTIONS": "1"})
    assert all(name in text for name in ("TIDEGAUGE_NO_SUCH", "TIDEGAUGE_API_LISTEN", "TIDEGAUGE_EMBEDDED_MAX_CONNECTIONS"))


def test_what_kubernetes_and_docker_inject_for_a_service_of_our_name_is_ignored() -> None:
    injected = {
        "TIDEGAUGE_SERVICE_HOST": "10.0.0.1",
        "TIDEGAUGE_SERVICE_PORT": "4318",
        "TIDEGAUGE_SERVICE_PORT_OTLP_HTTP": "4318",
        "TIDEGAUGE_PORT": "tcp://10.0.0.1:4318",
        "TIDEGAUGE_PORT_4318_TCP": "tcp://10.0.0.1:4318",
        "TIDEGAUGE_PORT_4318_TCP_PROTO": "tcp",
        "TIDEGAUGE_PORT_4318_TCP_PORT": "4318",
        "TIDEGAUGE_PORT_4318_TCP_ADDR": "10.0.0.1",
        "TIDEGAUGE_API_SERVICE_HOST": "10.0.0.2",
        "TIDEGAUGE_API_PORT": "tcp://10.0.0.2:4320",
    }
    assert config.load(injected, env_file=None) == config.load({}, env_file=None)


def test_well_known_urls_are_understood_and_our_own_name_wins() -> None:
    both = {"DATABASE_URL": "postgres://a@h/d", "TIDEGAUGE_DATABASE_URL": "postgresql://b@h/d", "REDIS_URL": "redis://h"}
    settings = config.load(both, env_file=None)
    assert settings.database.url is not None
    assert settings.database.url.get_secret_value() == "postgresql://b@h/d"
    assert settings.cache.redis_url is not None


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("TIDEGAUGE_API_MAX_PAGE=10\nTIDEGAUGE_API_MAX_SERIES=20\n# a comment\n")
    settings = config.load({"TIDEGAUGE_API_MAX_PAGE": "11"}, env_file=file)
    assert (settings.api.max_page, settings.api.max_series) == (11, 20)


def test_an_empty_variable_is_unset() -> None:
    assert config.load({"TIDEGAUGE_API_TOKEN": "", "DATABASE_URL": ""}, env_file=None) == config.load({}, env_file=None)


@pytest.mark.parametrize("name", ["TIDEGAUGE_API_LISTEN", "TIDEGAUGE_OTLP_LISTEN"])
@pytest.mark.parametrize("address", ["0.0.0.0:4318", "[::]:4318", "192.0.2.1:4318", "db.example:4318"])
def test_a_public_address_needs_a_token_or_the_word_insecure(name: str, address: str) -> None:
    assert "TIDEGAUGE_API_TOKEN" in message({name: address})
    config.load({name: address, "TIDEGAUGE_API_TOKEN": "0123456789abcdef"}, env_file=None)
    config.load({name: address, "TIDEGAUGE_API_INSECURE": "true"}, env_file=None)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "[::1]:1", "4318", "127.8.9.10:1"])
def test_loopback_needs_none(address: str) -> None:
    assert config.load({"TIDEGAUGE_OTLP_LISTEN": address}, env_file=None).otlp.listen.is_loopback


def test_lifecycles_that_would_lose_rollups_are_refused() -> None:
    assert "traces_retention" in message({"TIDEGAUGE_LIFECYCLE_TRACES_RETENTION": "3d"})
    assert "hourly_retention" in message({"TIDEGAUGE_LIFECYCLE_HOURLY_RETENTION": "30d"})


def test_secrets_are_masked_and_values_can_be_read_back() -> None:
    settings = config.load({"TIDEGAUGE_API_TOKEN": "0123456789abcdef", "TIDEGAUGE_LIFECYCLE_TRACES_CHUNK": "6h"}, env_file=None)
    shown = config.effective(settings)
    assert shown["TIDEGAUGE_API_TOKEN"] == "********"
    assert shown["TIDEGAUGE_LIFECYCLE_TRACES_CHUNK"] == "6h"
    again = {name: value for name, value in shown.items() if value != "********"} | {"TIDEGAUGE_API_TOKEN": "0123456789abcdef"}
    assert config.load(again, env_file=None) == settings


def test_settings_are_frozen() -> None:
    settings = config.load({}, env_file=None)
    with pytest.raises(ValueError, match="frozen"):
        settings.api.max_page = 5  # type: ignore[misc]


@given(st.timedeltas(timedelta(microseconds=1), timedelta(days=40_000)))
def test_a_duration_that_is_shown_reads_back(value: timedelta) -> None:
    assert config.parse_duration(config.format_duration(value)) == value
