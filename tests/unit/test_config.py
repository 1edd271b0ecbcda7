"""Settings: what stops the start, and what the message says."""

from __future__ import annotations

from pathlib import Path

import pytest

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
        ("TIDEGAUGE_API_LISTEN", "[/x]:y", "expected host:port"),
        ("TIDEGAUGE_INGEST_COMMIT_TIMEOUT", "99999999999999d", "longer than any duration"),
        ("TIDEGAUGE_INGEST_DEDUP_WINDOW", "40000d", "expected 0.001s to 36500d"),
        ("TIDEGAUGE_DATABASE_STATEMENT_TIMEOUT", "25d", "expected 0.001s to 24d"),
        ("TIDEGAUGE_DATABASE_LOCK_TIMEOUT", "400us", "expected 0.001s to 24d"),
        ("TIDEGAUGE_OTLP_MAX_BODY_BYTES", "1024PiB", "less than or equal to"),
        ("TIDEGAUGE_EMBEDDED_CHECKPOINT_SECONDS", "inf", "finite"),
    ],
)
def test_a_malformed_value_is_named_with_what_is_allowed(name: str, value: str, says: str) -> None:
    text = message({name: value})
    assert f"{name}={value!r}" in text
    assert says in text


def test_a_resend_is_recognised_for_a_minute_at_the_least() -> None:
    text = message({"TIDEGAUGE_INGEST_DEDUP_WINDOW": "59s"})
    assert "TIDEGAUGE_INGEST_DEDUP_WINDOW" in text
    assert "greater than or equal to 1 minute" in text


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


@pytest.mark.parametrize("value", ["9" * 400 + "s", "9" * 308 + "EiB", "9" * 5000])
@pytest.mark.parametrize("name", ["TIDEGAUGE_LIFECYCLE_TRACES_CHUNK", "TIDEGAUGE_OTLP_MAX_BODY_BYTES", "TIDEGAUGE_API_LISTEN"])
def test_a_number_beyond_all_bounds_is_a_fault_and_not_repeated_at_length(name: str, value: str) -> None:
    text = message({name: value})
    assert text.startswith(f"{name}='999")
    assert len(text) < 300


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
@pytest.mark.parametrize("address", ["0.0.0.0:4318", "[::]:4318", "192.0.2.1:4318", "db.example:4318", "127.evil.example:1"])
def test_a_public_address_needs_a_token_or_the_word_insecure(name: str, address: str) -> None:
    assert "TIDEGAUGE_API_TOKEN" in message({name: address})
    config.load({name: address, "TIDEGAUGE_API_TOKEN": "0123456789abcdef"}, env_file=None)
    config.load({name: address, "TIDEGAUGE_API_INSECURE": "true"}, env_file=None)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "[::1]:1", "4318", "127.8.9.10:1", "[::1]:0"])
def test_loopback_needs_none(address: str) -> None:
    assert config.load({"TIDEGAUGE_OTLP_LISTEN": address}, env_file=None).otlp.listen.is_loopback


def test_lifecycles_that_would_lose_rollups_are_refused() -> None:
    text = message({"TIDEGAUGE_LIFECYCLE_TRACES_RETENTION": "3d", "TIDEGAUGE_LIFECYCLE_HOURLY_RETENTION": "30d"})
    assert "TIDEGAUGE_LIFECYCLE_TRACES_RETENTION=3d must be at least four times TIDEGAUGE_LIFECYCLE_TRACES_CHUNK=1d" in text
    assert "TIDEGAUGE_LIFECYCLE_HOURLY_RETENTION=30d must not be below TIDEGAUGE_LIFECYCLE_METRICS_RETENTION=365d" in text
    text = message({"TIDEGAUGE_LIFECYCLE_LOGS_CHUNK": "7.5d"})
    assert "TIDEGAUGE_LIFECYCLE_LOGS_COMPRESS_AFTER=7d must be at least TIDEGAUGE_LIFECYCLE_LOGS_CHUNK=180h" in text


def test_the_reader_has_one_name_everywhere() -> None:
    settings = config.load({"TIDEGAUGE_DATABASE_READER_ROLE": "analyst"}, env_file=None)
    assert (settings.database.reader_role, settings.embedded.reader_role) == ("analyst", "analyst")
    assert "did you mean TIDEGAUGE_DATABASE_READER_ROLE?" in message({"TIDEGAUGE_EMBEDDED_READER_ROLE": "analyst"})
    assert message({"TIDEGAUGE_DATABASE_READER_ROLE": "Analyst"}).count("match pattern") == 1


def test_who_may_only_read_is_not_who_owns_everything() -> None:
    both = {"TIDEGAUGE_DATABASE_READER_ROLE": "keeper", "TIDEGAUGE_EMBEDDED_OWNER_ROLE": "keeper"}
    assert "TIDEGAUGE_DATABASE_READER_ROLE=keeper must not be TIDEGAUGE_EMBEDDED_OWNER_ROLE=keeper" in message(both)
    config.load({**both, "DATABASE_URL": "postgresql://h/d"}, env_file=None)


def test_a_file_that_is_no_text_is_one_readable_message(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"TIDEGAUGE_API_TOKEN=\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"\.env cannot be read"):
        config.load({}, env_file=file)


def test_secrets_are_masked_and_values_can_be_read_back() -> None:
    settings = config.load(
        {"TIDEGAUGE_API_TOKEN": "0123456789abcdef", "TIDEGAUGE_LIFECYCLE_TRACES_CHUNK": "6h", "TIDEGAUGE_OTLP_MAX_BODY_BYTES": "1000001"},
        env_file=None,
    )
    shown = config.effective(settings)
    assert shown["TIDEGAUGE_API_TOKEN"] == "********"
    assert shown["TIDEGAUGE_LIFECYCLE_TRACES_CHUNK"] == "6h"
    assert (shown["TIDEGAUGE_INGEST_MAX_PENDING_BYTES"], shown["TIDEGAUGE_OTLP_MAX_BODY_BYTES"]) == ("64MiB", "1000001")
    again = {name: value for name, value in shown.items() if value != "********"} | {"TIDEGAUGE_API_TOKEN": "0123456789abcdef"}
    assert config.load(again, env_file=None) == settings


def test_settings_are_frozen() -> None:
    settings = config.load({}, env_file=None)
    with pytest.raises(ValueError, match="frozen"):
        settings.api.max_page = 5  # type: ignore[misc]
