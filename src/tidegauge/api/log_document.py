"""Log records as answers have them."""

from __future__ import annotations

from tidegauge.api import formats
from tidegauge.api.formats import AttributesForm, Json
from tidegauge.api.shared import Shared
from tidegauge.model.records import LogRecord

LOGS = "/api/v1/logs"
_TRACES = "/api/v1/traces"


def log(row: LogRecord, form: AttributesForm, shared: Shared) -> Json:
    """A record that refers to the answer's resources and scopes."""
    return fields(row, form) | {
        "resource": shared.resource(row.resource, row.application),
        "scope": shared.scope(row.scope),
        "links": _links(row),
    }


def whole(row: LogRecord, form: AttributesForm) -> Json:
    """A record that stands alone, as a live tail tells it."""
    origin: Json = {
        "namespace": row.application.namespace,
        "service": row.application.name,
        "environment": row.application.environment,
    }
    return fields(row, form) | {
        "resource": origin | formats.resource(row.resource, form),
        "scope": formats.scope(row.scope, form),
        "links": _links(row),
    }


def fields(row: LogRecord, form: AttributesForm) -> Json:
    """What is the record's own."""
    return {
        "log_id": row.log_id,
        "timestamp": formats.time(row.timestamp_unix_nano),
        "time_unix_nano": str(row.time_unix_nano),
        "observed_time_unix_nano": str(row.observed_time_unix_nano),
        "severity_number": row.severity_number,
        "severity_text": row.severity_text,
        "event_name": row.event_name,
        "service": row.application.name,
        "body": form.any_value(row.body),
        "attributes": form.attributes(row.attributes),
        "dropped_attributes_count": row.dropped_attributes_count,
        "trace_id": row.trace_id or None,
        "span_id": row.span_id or None,
        "flags": row.flags,
    }


def _links(row: LogRecord) -> Json:
    trace = f"{_TRACES}/{row.trace_id}" if row.trace_id else None
    return {
        "self": f"{LOGS}/{row.log_id}",
        "context": f"{LOGS}/{row.log_id}/context",
        "trace": trace,
        "trace_logs": trace and f"{trace}/logs",
        "span_logs": f"{trace}/spans/{row.span_id}/logs" if trace and row.span_id else None,
    }
