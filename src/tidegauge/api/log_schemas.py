"""What answers about logs look like, for the OpenAPI document; see ``tidegauge.api.schemas``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tidegauge.api.schemas import Attributes, Point, Resource, Scope, Time, UnixNano


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LogLinks(_Model):
    """Where to go from a record; paths on this server."""

    self: str = Field(examples=["/api/v1/logs/8c0c8f9a2b5e4d7f8a1b2c3d4e5f6071-3"])
    context: str = Field(description="the records before and after it")
    trace: str | None = Field(description="its trace")
    trace_logs: str | None = Field(description="the records of its trace")
    span_logs: str | None = Field(description="the records of its span")


class Log(_Model):
    """A log record."""

    log_id: str
    timestamp: Time = Field(description="the record's time, else its observed time, else when it was received")
    time_unix_nano: UnixNano
    observed_time_unix_nano: UnixNano
    severity_number: int
    severity_text: str
    event_name: str
    service: str
    body: Any = Field(description="an OTLP/JSON AnyValue; with attributes=map plain JSON", examples=[{"stringValue": "cart emptied"}])
    attributes: Attributes
    dropped_attributes_count: int
    trace_id: str | None
    span_id: str | None
    flags: int
    resource: int = Field(description="index in `resources`")
    scope: int = Field(description="index in `scopes`")
    links: LogLinks


class Logs(_Model):
    """Log records in the order asked for."""

    logs: list[Log]
    resources: list[Resource]
    scopes: list[Scope]
    next_cursor: str | None = Field(description="parameter `cursor` of the next page; null at the end")


class OneLog(_Model):
    """A log record with who sent it."""

    log: Log
    resources: list[Resource]
    scopes: list[Scope]


class LogContext(_Model):
    """A record and its neighbours, oldest first."""

    before: list[Log]
    log: Log
    after: list[Log]
    resources: list[Resource]
    scopes: list[Scope]


class SeverityCounts(_Model):
    """How many records of a severity there are."""

    severity: str = Field(description="OTLP's short name", examples=["ERROR"])
    severity_number: int = Field(examples=[17])
    count: int
    points: list[Point]


class LogCounts(_Model):
    """Counts over time by severity. A step without records has no point."""

    start: Time
    end: Time
    step_seconds: float
    count: int
    severities: list[SeverityCounts]


class TopValue(_Model):
    """A value and how many records have it."""

    value: str
    count: int


class TopValues(_Model):
    """The most frequent values of a field, most frequent first."""

    field: str
    start: Time
    end: Time
    values: list[TopValue]


class DeletedLogs(_Model):
    """How many records there were, and are no more."""

    deleted: int


class TailLog(_Model):
    """A log record that has just been stored, as a live tail tells it: its resource and scope stand in it."""

    log_id: str
    timestamp: Time
    time_unix_nano: UnixNano
    observed_time_unix_nano: UnixNano
    severity_number: int
    severity_text: str
    event_name: str
    service: str
    body: Any
    attributes: Attributes
    dropped_attributes_count: int
    trace_id: str | None
    span_id: str | None
    flags: int
    resource: dict[str, Any] = Field(description="namespace, service, environment and what `resources` of a search hold")
    scope: dict[str, Any] = Field(description="what `scopes` of a search hold")
    links: LogLinks


class TailDropped(_Model):
    """Records that a live tail left out, for they came faster than they were read."""

    records: int
