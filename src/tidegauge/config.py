"""The one Settings object and the only reader of the environment.

A setting ``Settings.lifecycle.traces_retention`` is the variable ``TIDEGAUGE_LIFECYCLE_TRACES_RETENTION``, from the environment or from a
``.env`` file in the working directory; the environment wins. Names that others use for the same
(``DATABASE_URL``, ``REDIS_URL``, …: ``ALIASES``) are understood as well. Unknown variables stop the start: a misspelt retention must not
silently keep its default.

Durations are written ``90s``, ``10m``, ``12h``, ``30d`` (or ISO 8601), sizes ``64MiB`` or plain bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any, Self

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    ByteSize,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from tidegauge.errors import ConfigurationError
from tidegauge.sections import (
    PREFIX,
    ApiSettings,
    CacheSettings,
    CardinalitySettings,
    CircuitBreakerSettings,
    DatabaseSettings,
    EmbeddedSettings,
    IngestSettings,
    LifecycleSettings,
    ListenAddress,
    LogFormat,
    LogLevel,
    LogsSettings,
    OtlpSettings,
    Section,
    ServeSettings,
    SqlSettings,
    TelemetrySettings,
    ThrottleSettings,
    TracesSettings,
)
from tidegauge.units import format_duration, format_size

__all__ = [
    "ALIASES",
    "PREFIX",
    "ApiSettings",
    "CacheSettings",
    "CardinalitySettings",
    "CircuitBreakerSettings",
    "DatabaseSettings",
    "EmbeddedSettings",
    "IngestSettings",
    "LifecycleSettings",
    "ListenAddress",
    "LogFormat",
    "LogLevel",
    "LogsSettings",
    "OtlpSettings",
    "ServeSettings",
    "Settings",
    "SqlSettings",
    "TelemetrySettings",
    "ThrottleSettings",
    "TracesSettings",
    "effective",
    "load",
    "variables",
]

ALIASES = {
    "DATABASE_URL": ("database", "url"),
    "ELASTICSEARCH_URL": ("logs", "elasticsearch_url"),
    "REDIS_URL": ("cache", "redis_url"),
    "SENTRY_DSN": ("telemetry", "sentry_dsn"),
    "THROTTLE_TTL_SHORT": ("throttle", "ttl_short"),
    "THROTTLE_TTL_MEDIUM": ("throttle", "ttl_medium"),
    "THROTTLE_TTL_LONG": ("throttle", "ttl_long"),
    "THROTTLE_LIMIT_SHORT": ("throttle", "limit_short"),
    "THROTTLE_LIMIT_MEDIUM": ("throttle", "limit_medium"),
    "THROTTLE_LIMIT_LONG": ("throttle", "limit_long"),
    "CIRCUIT_BREAKER_FAILURE_THRESHOLD": ("circuit_breaker", "failure_threshold"),
    "CIRCUIT_BREAKER_RESET_TIMEOUT_MS": ("circuit_breaker", "reset_timeout_ms"),
    "CIRCUIT_BREAKER_HALF_OPEN_SUCCESS_COUNT": ("circuit_breaker", "half_open_success_count"),
}
# Kubernetes and Docker links inject these for a service named tidegauge (or tidegauge-…). No setting of ours ends like them.
_INJECTED = re.compile(r"_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT$|_PORT_\d+_(TCP|UDP)(_|$)|_ENV_|_NAME$")
# One name for one role: the embedded database creates the reader that migrations grant to, so that load() sets both.
_INSTEAD = {"TIDEGAUGE_EMBEDDED_READER_ROLE": "TIDEGAUGE_DATABASE_READER_ROLE"}


class Settings(Section):
    """Every setting, read once and frozen."""

    api: ApiSettings = Field(default_factory=ApiSettings)
    sql: SqlSettings = Field(default_factory=SqlSettings)
    otlp: OtlpSettings = Field(default_factory=OtlpSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    embedded: EmbeddedSettings = Field(default_factory=EmbeddedSettings)
    logs: LogsSettings = Field(default_factory=LogsSettings)
    cache: CacheSettings = Field(default_factory=CacheSettings)
    ingest: IngestSettings = Field(default_factory=IngestSettings)
    traces: TracesSettings = Field(default_factory=TracesSettings)
    cardinality: CardinalitySettings = Field(default_factory=CardinalitySettings)
    serve: ServeSettings = Field(default_factory=ServeSettings)
    lifecycle: LifecycleSettings = Field(default_factory=LifecycleSettings)
    throttle: ThrottleSettings = Field(default_factory=ThrottleSettings)
    circuit_breaker: CircuitBreakerSettings = Field(default_factory=CircuitBreakerSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)

    @model_validator(mode="after")
    def _closed_by_default(self) -> Self:
        for name, listen in (("api", self.api.listen), ("otlp", self.otlp.listen), ("otlp_grpc", self.otlp.grpc_listen)):
            if not listen.is_loopback and self.api.token is None and not self.api.insecure:
                raise ValueError(
                    f"TIDEGAUGE_{name.upper()}_LISTEN={listen} can be reached from outside: set TIDEGAUGE_API_TOKEN, or --insecure "
                    "(TIDEGAUGE_API_INSECURE=true) to serve it without one"
                )
        return self

    @model_validator(mode="after")
    def _reader_is_not_the_owner(self) -> Self:
        if self.database.url is None and self.embedded.owner_role == self.database.reader_role:
            raise ValueError(
                f"TIDEGAUGE_DATABASE_READER_ROLE={self.database.reader_role} must not be TIDEGAUGE_EMBEDDED_OWNER_ROLE="
                f"{self.embedded.owner_role}: who reads would own everything"
            )
        return self


def variables() -> Iterator[tuple[str, str, str]]:
    """Every variable there is, as (name, section, field)."""
    for section, info in Settings.model_fields.items():
        model = info.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        for field in model.model_fields:
            name = f"{PREFIX}{section}_{field}".upper()
            if name not in _INSTEAD:
                yield name, section, field


def load(
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = Path(".env"),
    overrides: Mapping[str, Mapping[str, object]] | None = None,
) -> Settings:
    """Settings from the environment, a ``.env`` file and ``overrides`` (command line; section → field → value).

    Raises:
        ConfigurationError: a variable is unknown or its value malformed; names the variable, the value (secrets masked) and
            what is allowed. All faults are reported at once.

    """
    found: dict[str, str] = {}
    if env_file is not None and env_file.is_file():
        found.update(_in_file(env_file))
    found.update(os.environ if environ is None else environ)
    known = {name: (section, field) for name, section, field in variables()}
    values: dict[str, dict[str, object]] = {}
    origins: dict[tuple[str, str], str] = {}
    faults: list[str] = []
    for name, value in sorted(found.items()):
        place = known.get(name) or ALIASES.get(name)
        if place is None:
            if name.startswith(PREFIX) and not _INJECTED.search(name):
                faults.append(_unknown(name, known))
            continue
        if value == "" or (name in ALIASES and place in origins):
            # Empty means unset, as docker-compose passes variables that its host does not have; our own name wins over an alias.
            continue
        section, field = place
        values.setdefault(section, {})[field] = value
        origins[place] = name
    for section, fields in (overrides or {}).items():
        values.setdefault(section, {}).update(fields)
    if "reader_role" in values.get("database", {}):
        values.setdefault("embedded", {})["reader_role"] = values["database"]["reader_role"]
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults += [_malformed(fault, origins) for fault in error.errors() if fault["loc"] != ("embedded", "reader_role")]
    if settings is None or faults:
        raise ConfigurationError("; ".join(faults), hint="`tidegauge config` lists every setting with its value")
    return settings


def effective(settings: Settings) -> dict[str, str]:
    """Variable → value as it is in force, secrets masked; what ``tidegauge config`` prints."""
    return {name: _shown(getattr(getattr(settings, section), field)) for name, section, field in variables()}


def _in_file(path: Path) -> dict[str, str]:
    try:
        return {name: value or "" for name, value in dotenv_values(path).items()}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    near = [_INSTEAD[name]] if name in _INSTEAD else get_close_matches(name, known, n=1, cutoff=0.6)
    return f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "")


def _malformed(fault: ErrorDetails, origins: Mapping[tuple[str, str], str]) -> str:
    location = [str(part) for part in fault["loc"]]
    message = fault["msg"].removeprefix("Value error, ")
    if len(location) < 2:
        # Of several settings together: it names them.
        return message
    place = (location[0], location[1])
    name = origins.get(place, f"{PREFIX}{location[0]}_{location[1]}".upper())
    return f"{name}={_masked(place, fault['input'])}: {message}"


def _masked(place: tuple[str, str], value: object) -> str:
    section = Settings.model_fields[place[0]].annotation
    assert isinstance(section, type)
    assert issubclass(section, BaseModel)
    field = section.model_fields.get(place[1])
    if field is not None and "SecretStr" in str(field.annotation):
        return "********"
    shown = repr(value)
    return shown if len(shown) <= 100 else f"{shown[:100]}…"


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case SecretStr():
            return "********"
        case bool():
            return str(value).lower()
        case timedelta():
            return format_duration(value)
        case Enum():
            return str(value.value)
        case tuple():
            return ",".join(map(str, value))
        case ByteSize():
            return format_size(value)
        case _:
            return str(value)
