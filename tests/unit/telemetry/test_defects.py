"""What is reported to Sentry."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from sentry_sdk.transport import Transport

from tidegauge import correlation
from tidegauge.config import TelemetrySettings
from tidegauge.correlation import Correlation
from tidegauge.errors import ConfigurationError, TidegaugeError, Unavailable
from tidegauge.telemetry.defects import reporting_handler
from tidegauge.telemetry.scrubbing import Scrubber

DSN = SecretStr("https://0123456789abcdef@sentry.example/4")


class Reports(Transport):
    """Takes reports; nothing is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.events += [item.payload.json for item in envelope.items if item.payload.json]


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def log(reports: Reports) -> Iterator[logging.Logger]:
    handler = reporting_handler(TelemetrySettings(sentry_dsn=DSN), Scrubber(["t0ken-t0ken-t0ken"]), "worker-1", reports)
    assert handler is not None
    log = logging.getLogger("tidegauge.test_defects")
    log.addHandler(handler)
    yield log
    log.removeHandler(handler)


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_a_defect_is_reported_with_the_request_that_met_it(log: logging.Logger, reports: Reports) -> None:
    with correlation.correlated(Correlation("1" * 32, "2" * 16, "order-1", "r-1")):
        log.error("failed", exc_info=raised(ValueError("odd")))
    (event,) = reports.events
    assert event["exception"]["values"][0]["type"] == "ValueError"
    assert event["tags"] == {"process": "worker-1", "trace_id": "1" * 32, "correlation_id": "order-1", "request_id": "r-1"}
    assert event["release"].startswith("tidegauge@")
    assert (event["logger"], event["level"]) == ("tidegauge.test_defects", "error")


def test_what_is_expected_is_not_reported(log: logging.Logger, reports: Reports) -> None:
    log.error("no exception")
    log.warning("a warning", exc_info=raised(ValueError("odd")))
    log.error("away", exc_info=raised(Unavailable("away"), OSError("refused")))
    log.error("own", exc_info=raised(TidegaugeError("a job failed")))
    assert reports.events == []


def test_of_an_error_that_wraps_a_defect_the_defect_is_reported(log: logging.Logger, reports: Reports) -> None:
    log.error("failed", exc_info=raised(TidegaugeError("the request could not be stored"), KeyError("column")))
    (event,) = reports.events
    assert event["exception"]["values"][-1]["type"] == "KeyError"


def test_no_secret_and_no_local_variable_leaves_the_program(log: logging.Logger, reports: Reports) -> None:
    def fail(body: str) -> None:
        raise ValueError(f"postgresql://owner:hunter2@db/x t0ken-t0ken-t0ken {len(body)}")

    try:
        fail("local-value-of-a-client")
    except ValueError:
        log.exception("failed at redis://:hunter2@cache")
    sent = json.dumps(reports.events)
    assert "ValueError" in sent
    for secret in ("hunter2", "t0ken-t0ken-t0ken"):
        assert secret not in sent
    assert '"vars"' not in sent


def test_without_an_address_nothing_is_reported() -> None:
    assert reporting_handler(TelemetrySettings(), Scrubber(), "main") is None


def test_an_address_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="SENTRY_DSN"):
        reporting_handler(TelemetrySettings(sentry_dsn=SecretStr("nonsense")), Scrubber(), "main")


@pytest.mark.parametrize(
    ("module", "given", "extra"),
    [
        ("sentry_sdk", {"sentry_dsn": DSN}, "tidegauge[sentry]"),
        ("opentelemetry.sdk.trace", {"traces_endpoint": "http://127.0.0.1:4318"}, "tidegauge[tracing]"),
    ],
)
def test_what_is_not_installed_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, module: str, given: dict[str, Any], extra: str
) -> None:
    from tidegauge.telemetry import defects, tracing

    monkeypatch.setitem(sys.modules, module, None)
    settings = TelemetrySettings(**given)
    with pytest.raises(ConfigurationError) as raised:
        defects.reporting_handler(settings, Scrubber(), "main")
        tracing.start_tracing(settings, "main")
    assert extra in raised.value.hint
    assert raised.value.exit_code == 2
