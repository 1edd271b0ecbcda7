"""Defects are reported to Sentry, where its address is set: exceptions that nobody expected, as they are logged, without secrets."""

from __future__ import annotations

import logging
from typing import Any

from tidegauge import __version__, correlation
from tidegauge.config import TelemetrySettings
from tidegauge.errors import ConfigurationError, TidegaugeError
from tidegauge.telemetry.scrubbing import Scrubber


def reporting_handler(settings: TelemetrySettings, scrubber: Scrubber, process: str, transport: Any = None) -> logging.Handler | None:
    """What reports the defects among the log's records; None where there is nobody to report to.

    Args:
        settings: the address.
        scrubber: masks secrets.
        process: this process' name.
        transport: takes the reports in place of Sentry's own.

    Raises:
        ConfigurationError: Sentry's SDK is not installed, or the address is none.

    """
    if settings.sentry_dsn is None:
        return None
    try:
        import sentry_sdk
    except ImportError as error:
        raise ConfigurationError("SENTRY_DSN is set, but Sentry's SDK is not installed", hint="pip install 'tidegauge[sentry]'") from error

    def scrubbed(event: Any, _hint: Any) -> Any:
        return scrubber.value(event)

    try:
        client = sentry_sdk.Client(
            dsn=settings.sentry_dsn.get_secret_value(),
            release=f"tidegauge@{__version__}",
            before_send=scrubbed,
            # It would find loggers, frameworks and databases by itself, and send what it sees there.
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            auto_session_tracking=False,
            transport=transport,
        )
    except sentry_sdk.utils.BadDsn as error:
        raise ConfigurationError("SENTRY_DSN is no address of Sentry's", hint="expected https://key@host/project") from error
    return _Reporting(sentry_sdk, client, process)


class _Reporting(logging.Handler):
    def __init__(self, sdk: Any, client: Any, process: str) -> None:
        super().__init__(logging.ERROR)
        self._sdk = sdk
        self._client = client
        self._process = process

    def emit(self, record: logging.LogRecord) -> None:
        """Report the record's exception, if it is a defect; never fails."""
        error = record.exc_info[1] if record.exc_info else None
        # An error of ours without a kind wraps what nobody expected; the others are expected.
        while type(error) is TidegaugeError:
            error = error.__cause__
        # Its own failures would be reported by failing again.
        if error is None or isinstance(error, TidegaugeError) or record.name.startswith(("sentry_sdk", "urllib3")):
            return
        try:
            self._report(record, error)
        except Exception:  # noqa: BLE001 - a handler must not fail
            self.handleError(record)

    def _report(self, record: logging.LogRecord, error: BaseException) -> None:
        event, hint = self._sdk.utils.event_from_exception(error, client_options=self._client.options)
        event |= {"level": record.levelname.lower(), "logger": record.name, "logentry": {"formatted": record.getMessage()}}
        event["tags"] = {"process": self._process}
        if (found := correlation.current()) is not None:
            event["tags"] |= {"trace_id": found.trace_id, "correlation_id": found.correlation_id, "request_id": found.request_id}
        self._client.capture_event(event, hint)

    def close(self) -> None:
        """Send what is left, for two seconds at the most."""
        self._client.close(timeout=2.0)
        super().close()
