"""The sections of :class:`tidegauge.config.Settings`: each field is a setting, with its default and what it is for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import available_timezones

import platformdirs
from pydantic import BaseModel, ByteSize, ConfigDict, Field, SecretStr, field_validator, model_validator

from tidegauge.model import promotion
from tidegauge.units import Duration, Milliseconds, Size, Timeout, format_duration

PREFIX = "TIDEGAUGE_"
Day = timedelta(days=1)
Seconds = Annotated[float, Field(gt=0, le=86_400)]
# Of a data stream's name: what Elasticsearch allows, without the separator and dots.
_STREAM_PART = r"^[a-z0-9][a-z0-9_]{0,99}$"
_MOST_PROMOTED = 20
Role = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]


class LogFormat(Enum):
    """How the program's own log is written."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogLevel(Enum):
    """From which severity on it is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Section(BaseModel):
    """Of settings: frozen, and without a field that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class ListenAddress(BaseModel):
    """Where a server listens: ``host:port``, ``[v6]:port`` or a port alone on loopback; port 0 takes a free one."""

    model_config = ConfigDict(frozen=True)
    host: str
    port: int = Field(ge=0, le=65535)

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        if not isinstance(value, str | int):
            return value
        host, _, port = str(value).rpartition(":")
        if not re.fullmatch(r"[0-9]{1,5}", port):
            raise ValueError("expected host:port, for example 127.0.0.1:4318")
        return {"host": host.strip("[]") or "127.0.0.1", "port": int(port)}

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return self.host.lower() == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            # A name resolves to whatever its owner likes.
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ApiSettings(Section):
    """The query API."""

    listen: ListenAddress = Field(
        ListenAddress(host="127.0.0.1", port=4320), description="where the query API (and OTLP under /v1/) listens"
    )
    token: SecretStr | None = Field(None, description="bearer token for API and OTLP; needed on any address but loopback")
    insecure: bool = Field(False, description="serve a public address without a token")
    query_timeout: Timeout = Field(timedelta(seconds=10), description="a statement of an API request is ended after")
    search_time: Timeout = Field(timedelta(seconds=3), description="a search for spans or traces answers with what it has found after")
    max_series: int = Field(1000, ge=1, description="most series in one answer")
    max_points: int = Field(11_000, ge=1, description="most points of a series in one answer")
    max_page: int = Field(1000, ge=1, le=10_000, description="most rows of a page")
    max_trace_spans: int = Field(20_000, ge=1, description="most spans of a trace in one answer")
    timezone: str = Field("UTC", description="IANA time zone in which steps of whole days begin where a request names none")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("expected a name of the IANA time zone database, such as Europe/Berlin")
        return value

    @field_validator("token")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("expected at least 16 characters")
        return value


class SqlSettings(Section):
    """The SQL endpoint, and what readers' SQL may cost."""

    enabled: bool = Field(True, description="whether POST /api/v1/sql answers")
    role: Role = Field("tidegauge_sql", description="server: role that the endpoint signs in as; made by migrations where they may")
    database_url: SecretStr | None = Field(
        None, description="postgresql://… that the endpoint uses instead, of a role that may only read; may be a replica's"
    )
    timeout: Timeout = Field(timedelta(seconds=10), description="a statement is ended after")
    embedded_timeout: Timeout = Field(timedelta(seconds=5), description="embedded: likewise; all others wait for it there")
    max_rows: int = Field(100_000, ge=1, le=10_000_000, description="most rows of an answer")
    max_bytes: Size = Field(ByteSize(32 << 20), ge=1 << 16, description="most bytes of an answer's values")
    max_cost: float = Field(10_000_000, gt=0, description="a statement whose plan costs more, as EXPLAIN says, is refused")
    work_mem: Size = Field(ByteSize(32 << 20), ge=1 << 16, description="server: memory of one sort or hash, beyond which it goes to disk")
    temp_bytes: Size = Field(ByteSize(1 << 30), ge=1 << 16, description="server: most disk for those, where the owner may limit it")
    concurrency: int = Field(2, ge=1, le=32, description="statements of a process at a time; others wait")

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        return DatabaseSettings._is_postgres(value)  # noqa: SLF001  (the same form)


class OtlpSettings(Section):
    """The OTLP receivers."""

    listen: ListenAddress = Field(ListenAddress(host="127.0.0.1", port=4318), description="where OTLP over HTTP listens")
    grpc_listen: ListenAddress = Field(ListenAddress(host="127.0.0.1", port=4317), description="where OTLP over gRPC listens")
    max_body_bytes: Size = Field(ByteSize(64 << 20), ge=1024, description="of a request, also after decompression")


class TracesSettings(Section):
    """Spans."""

    promoted_attributes: tuple[promotion.PromotedAttribute, ...] = Field(
        (), description="most-asked attributes of spans, which get a column: `key` or `key:type` (text, bigint, double, boolean), by commas"
    )

    @field_validator("promoted_attributes", mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(promotion.parsed(part.strip()) for part in value.split(",") if part.strip())

    @field_validator("promoted_attributes")
    @classmethod
    def _bounded(cls, value: tuple[promotion.PromotedAttribute, ...]) -> tuple[promotion.PromotedAttribute, ...]:
        if len(value) > _MOST_PROMOTED:
            raise ValueError(f"at most {_MOST_PROMOTED} attributes, for each costs every span")
        keys = [one.key for one in value]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"{twice[0]} stands there twice")
        return value


class DatabaseSettings(Section):
    """A TimescaleDB server. Without a URL the embedded database is used."""

    url: SecretStr | None = Field(None, description="postgresql://…; owner of the schemas")
    reader_role: Role = Field("tidegauge_reader", description="role that may read the schema analytics")
    pool_size: int = Field(
        8, ge=2, le=200, description="most connections of a process for queries; ingest and maintenance have two each of their own"
    )
    connect_timeout: Timeout = Field(timedelta(seconds=5), description="how long to wait for a connection")
    statement_timeout: Timeout = Field(timedelta(seconds=30), description="a statement of ours is ended after; on a server a reader's, too")
    lock_timeout: Timeout = Field(timedelta(seconds=2), description="how long a statement of ours waits for a lock")
    migration_lock_timeout: Timeout = Field(timedelta(seconds=10), description="how long a migration waits for a table")
    migration_statement_timeout: Timeout = Field(timedelta(minutes=10), description="a statement of a migration is ended after")

    @field_validator("url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        parts = re.fullmatch(r"postgres(?:ql)?(?:\+psycopg)?://(.+)", value.get_secret_value(), re.DOTALL)
        if parts is None:
            raise ValueError("expected postgresql://user:password@host:port/database")
        # Platforms hand out postgres://, SQLAlchemy's users write postgresql+psycopg://; libpq and our own code know this one.
        return SecretStr("postgresql://" + parts[1])


class EmbeddedSettings(Section):
    """The embedded TimescaleDB."""

    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("tidegauge", appauthor=False)),
        description="folder of the database and its passwords",
    )
    cache_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("tidegauge", appauthor=False)),
        description="folder of the npm packages; may be deleted",
    )
    port: int = Field(0, ge=0, le=65535, description="0: a free one, the same as last time where possible")
    statement_timeout_seconds: Seconds = Field(30, description="the owner's statements are ended after")
    reader_statement_timeout_seconds: Seconds = Field(10, description="readers' statements are ended after")
    transaction_timeout_seconds: Seconds = Field(30, description="the owner's transactions are ended after, while others wait")
    reader_transaction_timeout_seconds: Seconds = Field(15, description="readers' transactions are ended after, while others wait")
    idle_in_transaction_timeout_seconds: Seconds = Field(10, description="an open transaction in which nothing happens is ended after")
    result_bytes_limit: Size = Field(ByteSize(256 << 20), ge=1 << 16, description="of one statement's result")
    reader_result_bytes_limit: Size = Field(ByteSize(64 << 20), ge=1 << 16, description="of one reader's statement's result")
    copy_bytes_limit: Size = Field(ByteSize(256 << 20), ge=1 << 16, description="of one COPY FROM STDIN")
    max_connections: int = Field(64, ge=4, le=1000, description="most clients at a time")
    checkpoint_wal_bytes: Size = Field(ByteSize(64 << 20), ge=1 << 20, description="a checkpoint follows so much of write-ahead log")
    checkpoint_seconds: Seconds = Field(60, description="a checkpoint follows after so long, where anything was written")
    owner_role: Role = Field("tidegauge", description="role that owns everything")
    reader_role: Role = Field("tidegauge_reader", description="role that may only read; DatabaseSettings.reader_role")
    database: Role = Field("tidegauge", description="name of the database")


class LogsSettings(Section):
    """The log store. Without a URL logs are kept in TimescaleDB."""

    elasticsearch_url: SecretStr | None = Field(None, description="http(s)://[user:password@]host:port[,…]: logs go there instead")
    elasticsearch_api_key: SecretStr | None = Field(None, description="an API key, in its encoded form, instead of user and password")
    elasticsearch_ca_file: Path | None = Field(None, description="certificates that sign the server's")
    elasticsearch_timeout: Timeout = Field(timedelta(seconds=5), description="a request to Elasticsearch is given up after")
    elasticsearch_connections: int = Field(8, ge=1, le=100, description="most connections of a process to a node of Elasticsearch")
    dataset: str = Field("generic", pattern=_STREAM_PART, description="data stream logs-<dataset>.otel-<namespace>")
    namespace: str = Field("default", pattern=_STREAM_PART, description="data stream logs-<dataset>.otel-<namespace>")
    tail_clients: int = Field(100, ge=0, description="most live tails of a process at a time")

    @field_validator("elasticsearch_url")
    @classmethod
    def _is_http(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all(re.match(r"https?://[^/\s]+", node) for node in value.get_secret_value().split(",")):
            raise ValueError("expected http://host:port or https://user:password@host:port")
        return value


class CacheSettings(Section):
    """Cache, limits and sessions. Without a URL they are kept in process."""

    redis_url: SecretStr | None = Field(None, description="redis://[user:password@]host:port/database, or rediss://…")
    redis_timeout: Timeout = Field(timedelta(milliseconds=500), description="a command to Redis is given up after")
    redis_prefix: str = Field("tidegauge:", pattern=r"^[\x21-\x7e]{1,64}$", description="what every key of ours begins with")
    queries: bool = Field(True, description="keep answers over closed time steps; several workers do so with Redis alone")
    query_ttl: Duration = Field(timedelta(minutes=10), description="how long an answer over closed time steps is kept")
    query_margin: Duration = Field(timedelta(minutes=5), description="a time step is closed when it ended so long ago")
    memory_bytes: Size = Field(ByteSize(32 << 20), ge=1 << 16, description="without Redis: of answers kept in a process")
    session_ttl: Duration = Field(timedelta(hours=12), description="a session ends when it has not been used for")

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"(rediss?|unix)://", value.get_secret_value()):
            raise ValueError("expected redis://host:port/0 or rediss://user:password@host:port/0")
        return value


class ThrottleSettings(Section):
    """Requests that a client of the query API may make: three windows, all of which hold. 0 as a limit switches one off."""

    ttl_short: Milliseconds = Field(timedelta(seconds=1), description="first window; a plain number is of milliseconds")
    limit_short: int = Field(20, ge=0, description="requests of a client in the first window")
    ttl_medium: Milliseconds = Field(timedelta(seconds=10), description="second window")
    limit_medium: int = Field(100, ge=0, description="requests of a client in the second window")
    ttl_long: Milliseconds = Field(timedelta(seconds=60), description="third window")
    limit_long: int = Field(300, ge=0, description="requests of a client in the third window")
    trusted_proxies: int = Field(0, ge=0, le=10, description="how many proxies of yours stand in front, each adding to X-Forwarded-For")
    ingest_bytes_per_second: Size | None = Field(None, description="of a client's ingest requests, decompressed; none: no limit")
    ingest_items_per_second: int | None = Field(None, ge=1, description="spans, points and records of a client; none: no limit")


class CircuitBreakerSettings(Section):
    """When queries stop asking a dependency that fails: timescaledb, elasticsearch, redis, each by itself."""

    failure_threshold: int = Field(5, ge=1, description="failures in a row that open a circuit")
    reset_timeout_ms: int = Field(30_000, ge=1, le=86_400_000, description="milliseconds until an open circuit lets a probe through")
    half_open_success_count: int = Field(1, ge=1, description="successful probes that close it")


class TelemetrySettings(Section):
    """What the program tells about itself."""

    log_format: LogFormat = Field(LogFormat.AUTO, description="`json`, `console`, or `auto`: for people on a terminal, JSON elsewhere")
    log_level: LogLevel = Field(LogLevel.INFO, description="`debug`, `info`, `warning` or `error`")
    traces_endpoint: str | None = Field(
        None, pattern=r"^https?://", description="http(s)://host:port of an OTLP/HTTP receiver for the program's own spans"
    )
    traces_sample_ratio: float = Field(1.0, ge=0, le=1, description="of its own traces that are kept, where a caller has not decided")
    service_name: str = Field("tidegauge", min_length=1, description="service.name of its own spans")
    sentry_dsn: SecretStr | None = Field(None, description="where to report defects to")


class IngestSettings(Section):
    """The ingest path."""

    max_pending_bytes: Size = Field(ByteSize(64 << 20), ge=1 << 20, description="bytes of requests from arrival to commit; beyond it 429")
    group_max_rows: int = Field(20_000, ge=1, description="rows that one commit holds at the most, but for one larger request")
    group_max_bytes: Size = Field(
        ByteSize(32 << 20), ge=1 << 16, description="decompressed bytes that one commit holds at the most, but for one larger request"
    )
    future_tolerance: Duration = Field(timedelta(minutes=10), description="items further ahead are rejected")
    # Less than a minute would not reach over the border of two parts of the ledger (sql/queries/ingest.sql).
    dedup_window: Duration = Field(
        timedelta(hours=24), ge=timedelta(minutes=1), description="how long a byte-identical resend is recognised"
    )
    commit_timeout: Duration = Field(
        timedelta(seconds=8),
        description="a request not committed by then gets 503 and Retry-After; SDKs give up after 10s and would not see it",
    )
    max_queue_delay: Timeout = Field(timedelta(seconds=1), description="429 where what waits already would take longer than this to commit")
    writer_connections: int = Field(2, ge=1, le=16, description="groups that a process commits at a time, where the database can do that")
    direct_compress: bool = Field(
        False, description="server: write groups of at least 100 rows a segment straight into the columnstore, where TimescaleDB can"
    )


class CardinalitySettings(Section):
    """Guards against telemetry whose names or attributes never repeat."""

    max_series_per_metric: int = Field(50_000, ge=1, description="series of one metric of an application; points of others are rejected")
    max_resources_per_application: int = Field(50_000, ge=1, description="resources of an application; items of others are rejected")
    max_span_names_per_application: int = Field(1_000, ge=1, description="span names of an application that rollups tell apart")
    max_attribute_keys_per_application: int = Field(
        1_000, ge=1, description="attribute keys of an application that the catalogue lists; others are found all the same"
    )


class ServeSettings(Section):
    """The serving processes."""

    workers: int = Field(1, ge=1, le=64, description="processes that receive, store and answer")
    shutdown_timeout: Timeout = Field(timedelta(seconds=25), description="how long a stop may take, what is under way included")


class LifecycleSettings(Section):
    """Chunks, compression, retention and rollups."""

    metrics_chunk: Duration = Field(Day, description="time that one chunk of metric points spans")
    traces_chunk: Duration = Field(Day, description="time that one chunk of spans spans")
    logs_chunk: Duration = Field(Day, description="time that one chunk of log records spans")
    metrics_compress_after: Duration = Field(30 * Day, description="age at which metric points move to the columnstore")
    traces_compress_after: Duration = Field(7 * Day, description="age at which spans move to the columnstore")
    logs_compress_after: Duration = Field(7 * Day, description="age at which log records move to the columnstore")
    metrics_retention: Duration = Field(365 * Day, description="age at which metric points are dropped, once rollups cover them")
    traces_retention: Duration = Field(30 * Day, description="age at which spans are dropped, once rollups cover them")
    logs_retention: Duration = Field(30 * Day, description="age at which log records are dropped, once rollups cover them")
    rejections_retention: Duration = Field(30 * Day, description="how long the record of rejected items is kept")
    minutely_retention: Duration = Field(90 * Day, description="how long minutely rollups are kept")
    hourly_retention: Duration = Field(3 * 365 * Day, description="how long hourly rollups are kept")
    daily_retention: Duration = Field(10 * 365 * Day, description="how long daily rollups are kept")
    collection_grace: Duration = Field(7 * Day, description="how long a dictionary row outlives the last that may refer to it")
    chunk_max_rows: int = Field(700_000, ge=10_000, description="embedded: the chunk interval shrinks so that a chunk stays below")
    job_turn_seconds: Seconds = Field(1.0, description="embedded: how long a background job may hold the database")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = list(self._contradictions())
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _contradictions(self) -> Iterator[str]:
        for signal in ("metrics", "traces", "logs"):
            chunk: timedelta = getattr(self, f"{signal}_chunk")
            said_chunk, retention, age = (self._said(f"{signal}_{what}") for what in ("chunk", "retention", "compress_after"))
            if getattr(self, f"{signal}_retention") < 4 * chunk:
                yield f"{retention} must be at least four times {said_chunk}: rollup windows start two chunks inside it"
            if getattr(self, f"{signal}_compress_after") < chunk:
                yield f"{age} must be at least {said_chunk}: a chunk still written to is not compressed"
        for tier, raw in (
            ("minutely", "traces"),
            ("hourly", "traces"),
            ("hourly", "metrics"),
            ("daily", "metrics"),
            ("daily", "traces"),
        ):
            tier_retention, raw_retention = f"{tier}_retention", f"{raw}_retention"
            if getattr(self, tier_retention) < getattr(self, raw_retention):
                yield f"{self._said(tier_retention)} must not be below {self._said(raw_retention)}: rollups outlive raw data"

    def _said(self, field: str) -> str:
        """A field as its variable with its value, given or by default: either may be the one to change."""
        return f"{PREFIX}LIFECYCLE_{field.upper()}={format_duration(getattr(self, field))}"
