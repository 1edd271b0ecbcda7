"""Questions that a client can ask: each function makes one, :meth:`TidegaugeClient.run` asks it.

Times may be datetimes (aware, or taken as UTC), timedeltas (so long before now) and every form that the API knows (``"now-1h"``,
RFC 3339, Unix seconds); durations timedeltas or texts (``"5m"``). What is None is left to the server's default. docs/api.md has
what each parameter means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from tidegauge.client import rows
from tidegauge.client.answers import SqlAnswer, instant, instant_of_seconds, number, sql_answer
from tidegauge.client.core import Call, Parameters, Request, Response
from tidegauge.client.table import Table

Row = TypeVar("Row")
Time: TypeAlias = str | datetime | timedelta
Duration: TypeAlias = str | timedelta
Document: TypeAlias = Mapping[str, Any]

_V1 = "/api/v1"


def applications(*, limit: int | None = None) -> Call[Table[rows.Application]]:
    """Monitored services."""
    return _table("/applications", {"limit": limit}, "applications", rows.Application, _application)


def metrics(name: str | None = None, *, service: str | None = None, limit: int | None = None) -> Call[Table[rows.Metric]]:
    """Metrics by name, in which ``*`` stands for any characters."""
    return _table("/metrics", {"name": name, "service": service, "limit": limit}, "metrics", rows.Metric, _typed(rows.Metric))


def metric_range(
    name: str,
    *,
    start: Time | None = None,
    end: Time | None = None,
    step: Duration | None = None,
    aggregation: str | None = None,
    match: Sequence[str] = (),
    service: str | None = None,
    type: str | None = None,  # noqa: A002 - the API's name
    group_by: Sequence[str] | None = None,
    timezone: str | None = None,
) -> Call[Table[rows.Point]]:
    """A metric's values by step, a line for each series or group; ``group_by=[]`` makes one line of all."""
    given = {
        "start": start,
        "end": end,
        "step": step,
        "aggregation": aggregation,
        "match": list(match),
        "service": service,
        "type": type,
        "group_by": [""] if group_by is not None and not group_by else list(group_by or ()),
        "timezone": timezone,
    }

    def parse(response: Response) -> Table[rows.Point]:
        document = response.json()
        points = [
            rows.Point(instant_of_seconds(time), number(value), line["labels"])
            for line in document["series"]
            for time, value in line["points"]
        ]
        return Table(rows.Point, points, document.get("meta"))

    return Call(_get(f"/metrics/{quote(name, safe='')}/range", given), parse)


def metric_rollups(
    name: str,
    tier: str = "hourly",
    *,
    start: Time | None = None,
    end: Time | None = None,
    match: Sequence[str] = (),
    service: str | None = None,
    type: str | None = None,  # noqa: A002 - the API's name
) -> Call[Table[rows.Rollup]]:
    """A metric's ``hourly`` or ``daily`` buckets, of every series."""
    given = {"start": start, "end": end, "match": list(match), "service": service, "type": type}

    def parse(response: Response) -> Table[rows.Rollup]:
        document = response.json()
        found = [_rollup(line["labels"], bucket) for line in document["series"] for bucket in line["rollups"]]
        return Table(rows.Rollup, found, document.get("meta"))

    return Call(_get(f"/metrics/{quote(name, safe='')}/rollups/{tier}", given), parse)


def metric_quantiles(name: str, q: Sequence[float], **conditions: Any) -> Call[Table[rows.MetricQuantile]]:
    """Quantiles of a histogram: ``start``, ``end``, ``step``, ``match=[…]``, ``service``, ``group_by=[…]``, ``timezone``."""

    def parse(response: Response) -> Table[rows.MetricQuantile]:
        document = response.json()
        found = [
            rows.MetricQuantile(
                time=instant_of_seconds(point["time"]),
                labels=line["labels"],
                quantile=quantile,
                value=number(value["value"]),
                lower=number(value["lower"]),
                upper=number(value["upper"]),
                count=point["count"],
                is_exact=point["is_exact"],
            )
            for line in document["series"]
            for point in line["points"]
            for quantile, value in zip(document["quantiles"], point["values"], strict=True)
        ]
        return Table(rows.MetricQuantile, found, document["meta"])

    return Call(_get(f"/metrics/{quote(name, safe='')}/quantiles", {"q": list(q), **conditions}), parse)


def duration_percentiles(q: Sequence[float], **conditions: Any) -> Call[Table[rows.DurationPercentile]]:
    """Quantiles of span durations: ``start``, ``end``, ``step``, ``service``, ``operation``, ``kind``, ``status``, ``group_by=[…]``."""

    def parse(response: Response) -> Table[rows.DurationPercentile]:
        document = response.json()
        found = [
            rows.DurationPercentile(
                instant_of_seconds(time), group["service"], group["operation"], group["kind"], quantile, duration, count
            )
            for group in document["groups"]
            for quantile, durations in zip(document["quantiles"], group["durations_ns"], strict=True)
            for time, count, duration in zip(group["times"], group["counts"], durations, strict=True)
        ]
        return Table(rows.DurationPercentile, found, document["meta"])

    return Call(_get("/traces/percentiles", {"q": list(q), **conditions}), parse)


def spans(**conditions: Any) -> Call[Table[rows.Span]]:
    """Spans that match: ``start``, ``end``, ``service``, ``operation``, ``status``, ``min_duration``, ``attribute=[…]``, ``order``, ….

    Parameters are those of ``GET /api/v1/traces?view=spans``; the server refuses what it does not know. ``client.rows(…)`` goes
    through all pages.
    """
    return _table("/traces", {"view": "spans", **conditions}, "spans", rows.Span, _span)


def traces(**conditions: Any) -> Call[Table[rows.Trace]]:
    """Traces of which a span matches: parameters as of :func:`spans`."""
    return _table("/traces", {"view": "traces", **conditions}, "traces", rows.Trace, _trace)


def trace(trace_id: str, *, attributes: str = "map") -> Call[Document]:
    """A whole trace as nested spans (docs/api.md, "A trace")."""
    return _document(f"/traces/{quote(trace_id, safe='')}", {"attributes": attributes})


def trace_analysis(trace_id: str) -> Call[Document]:
    """Where a trace's time went: self times and the critical path (docs/api.md, "Analysis")."""
    return _document(f"/traces/{quote(trace_id, safe='')}/analysis", {})


def compare_traces(a: str, b: str) -> Call[Document]:
    """Two traces by the paths of their spans."""
    return _document("/traces/compare", {"a": a, "b": b})


def trace_examples(**conditions: Any) -> Call[Document]:
    """The slowest and the newest failed span of operations: ``start``, ``end``, ``step``, ``service``, ``operation``, ``limit``."""
    return _document("/traces/examples", conditions)


def services(prefix: str = "") -> Call[list[str]]:
    """Names of services that begin so."""
    return Call(_get("/services", {"prefix": prefix}), lambda response: list(response.json()["services"]))


def operations(service: str | None = None, prefix: str = "") -> Call[Table[rows.Operation]]:
    """Names of spans that begin so."""
    return _table("/operations", {"service": service, "prefix": prefix}, "operations", rows.Operation, _typed(rows.Operation))


def service_rates(**conditions: Any) -> Call[Table[rows.ServiceRate]]:
    """Rate, errors and durations: ``start``, ``end``, ``step``, ``service``, ``operation``, ``by`` ("service" or "operation"), ``kind``."""
    return _stepped("/services/red", conditions, "services", rows.ServiceRate)


def compare_services(before_start: Time, before_end: Time, **conditions: Any) -> Call[Document]:
    """Two periods, by what changed most: ``after_start``, ``after_end``, ``service``, ``operation``, ``by``, ``sort``, ``limit``."""
    return _document("/services/compare", {"before_start": before_start, "before_end": before_end, **conditions})


def service_map(**conditions: Any) -> Call[Table[rows.Edge]]:
    """Who calls whom: ``start``, ``end``, ``step``, ``service``."""
    return _stepped("/service-map", conditions, "edges", rows.Edge)


def attributes(prefix: str | None = None, **conditions: Any) -> Call[Table[rows.AttributeKey]]:
    """Attribute keys that have been sent: ``where``, ``service``, ``limit``."""
    return _table("/attributes", {"prefix": prefix, **conditions}, "attributes", rows.AttributeKey, _typed(rows.AttributeKey))


def attribute_values(key: str, **conditions: Any) -> Call[Table[rows.AttributeValue]]:
    """The most frequent values of a key in a sample: ``prefix``, ``where``, ``service``, ``limit``."""
    return _table(f"/attributes/{quote(key, safe='')}/values", conditions, "values", rows.AttributeValue, _typed(rows.AttributeValue))


def logs(**conditions: Any) -> Call[Table[rows.LogRecord]]:
    """Log records that match: ``start``, ``end``, ``text``, ``severity``, ``service``, ``trace_id``, ``attribute=[…]``, ``limit``, …."""
    return _table("/logs", {"attributes": "map", **conditions}, "logs", rows.LogRecord, _log)


def sql(
    statement: str, parameters: Mapping[str, Any] | Sequence[Any] = (), *, max_rows: int | None = None, numeric: str = "double"
) -> Call[SqlAnswer]:
    """One SELECT; values are given as ``:name`` with a mapping, or ``$1`` with a sequence. The answer comes as Arrow."""
    document: dict[str, Any] = {"sql": statement, "format": "arrow", "numeric": numeric}
    if parameters:
        document["parameters"] = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
    if max_rows is not None:
        document["max_rows"] = max_rows
    return Call(Request("POST", f"{_V1}/sql", (), document, "application/vnd.apache.arrow.stream"), sql_answer)


def _get(path: str, given: Mapping[str, Any]) -> Request:
    return Request("GET", _V1 + path, _parameters(given))


def _parameters(given: Mapping[str, Any]) -> Parameters:
    found: list[tuple[str, str]] = []
    for name, value in given.items():
        if value is None:
            continue
        several = value if isinstance(value, (list, tuple)) else [value]
        found += [(name, _text(name, each)) for each in several]
    return tuple(found)


def _text(name: str, value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case timedelta() if name in ("start", "end"):
            return f"now-{_seconds(value)}"
        case timedelta():
            return _seconds(value)
        case datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case _:
            return str(value)


def _seconds(value: timedelta) -> str:
    microseconds = value // timedelta(microseconds=1)
    return f"{microseconds // 1_000_000}s" if microseconds % 1_000_000 == 0 else f"{microseconds}us"


def _document(path: str, given: Mapping[str, Any]) -> Call[Document]:
    return Call(_get(path, given), lambda response: dict(response.json()))


def _table(path: str, given: Mapping[str, Any], key: str, row_type: type[Row], make: Callable[[Document], Row]) -> Call[Table[Row]]:
    def parse(response: Response) -> Table[Row]:
        document = response.json()
        return Table(row_type, [make(each) for each in document[key]], document.get("meta"), document.get("next_cursor"))

    return Call(_get(path, given), parse, lambda table: table.next_cursor)


def _stepped(path: str, given: Mapping[str, Any], key: str, row_type: type[Row]) -> Call[Table[Row]]:
    """Rows of steps, which get the step's start."""
    make = _typed(row_type)

    def parse(response: Response) -> Table[Row]:
        document = response.json()
        found = [make({"start": step["start"], **each}) for step in document["steps"] for each in step[key]]
        return Table(row_type, found, document.get("meta"))

    return Call(_get(path, given), parse)


def _typed(row_type: type[Row]) -> Callable[[Document], Row]:
    """Makes a record of an object's members of the same names; times are read."""
    names = {each.name: str(each.type) for each in fields(row_type)}  # type: ignore[arg-type]
    return lambda found: row_type(**{name: instant(found[name]) if kind == "datetime" else found[name] for name, kind in names.items()})


def _application(found: Document) -> rows.Application:
    return rows.Application(found["application_id"], found["service"], found["namespace"], found["environment"])


def _rollup(labels: dict[str, str], found: Document) -> rows.Rollup:
    values = {name: number(found[name]) for name in ("sum", "avg", "min", "max", "first", "last", "increase")}
    return rows.Rollup(instant(found["bucket"]), labels, found["count"], **values, is_exact=found["is_exact"])


def _span(found: Document) -> rows.Span:
    return rows.Span(
        start_time=instant(found["start_time"]),
        trace_id=found["trace_id"],
        span_id=found["span_id"],
        parent_span_id=found["parent_span_id"],
        service=found["service"],
        name=found["name"],
        kind=found["kind"],
        status=found["status"]["code"],
        status_message=found["status"]["message"],
        duration_ns=found["duration_ns"],
    )


def _trace(found: Document) -> rows.Trace:
    root = found["root"] or {}
    return rows.Trace(
        start_time=instant(found["start_time"]),
        trace_id=found["trace_id"],
        duration_ns=found["duration_ns"],
        span_count=found["span_count"],
        error_count=found["error_count"],
        services=found["services"],
        root_service=root.get("service"),
        root_name=root.get("name"),
    )


def _log(found: Document) -> rows.LogRecord:
    return rows.LogRecord(
        timestamp=instant(found["timestamp"]),
        log_id=found["log_id"],
        severity_text=found["severity_text"],
        severity_number=found["severity_number"],
        service=found["service"],
        body=found["body"],
        trace_id=found["trace_id"],
        span_id=found["span_id"],
        attributes=found["attributes"],
    )
