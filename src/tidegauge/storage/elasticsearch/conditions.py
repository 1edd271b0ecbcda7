"""Filters of log searches as Elasticsearch's queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from tidegauge.model.query import CORRELATION_KEYS, AttributeFilter, LogFilter, TimeRange, searched_part
from tidegauge.model.text_search import parse
from tidegauge.storage.elasticsearch import words
from tidegauge.storage.elasticsearch.documents import number, number_text

ATTRIBUTES = "tidegauge.attributes"
_Query = dict[str, Any]
# What a date in nanoseconds holds: 1970 to 2262.
_LAST_NS = 2**63 - 1


def query(tenant_id: int, wanted: LogFilter | None) -> _Query:
    """The query that finds the records of a tenant that match."""
    conditions = [{"term": {"tidegauge.tenant_id": tenant_id}}]
    return {"bool": {"filter": conditions if wanted is None else [*conditions, *_conditions(wanted)]}}


def _conditions(wanted: LogFilter) -> Iterator[_Query]:
    yield _time(wanted.time)
    if wanted.text is not None:
        yield words.query(parse(wanted.text))
    if wanted.min_severity is not None or wanted.max_severity is not None:
        bounds = {"gte": wanted.min_severity, "lte": wanted.max_severity}
        yield {"range": {"severity_number": {name: bound for name, bound in bounds.items() if bound is not None}}}
    terms = {"service.name": wanted.service, "trace_id": wanted.trace_id, "span_id": wanted.span_id}
    for field, value in terms.items():
        if value is not None:
            yield {"term": {field: value.lower() if field != "service.name" else value}}
    if wanted.correlation_id is not None:
        yield _any([_equals(key, wanted.correlation_id) for key in CORRELATION_KEYS])
    for each in wanted.attributes:
        yield _attribute(each)


def _time(time: TimeRange) -> _Query:
    """By the microsecond, as every store compares."""
    start_us, end_us = time.start_ns // 1000, -(-time.end_ns // 1000)
    if start_us * 1000 > _LAST_NS or end_us <= 0:
        return {"match_none": {}}
    bounds = {"gte": _text(max(start_us, 0))}
    if end_us * 1000 <= _LAST_NS:
        bounds["lt"] = _text(end_us)
    return {"range": {"@timestamp": bounds}}


def _text(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


def _attribute(wanted: AttributeFilter) -> _Query:
    if not wanted.values:
        return {"term": {ATTRIBUTES: searched_part(wanted.name)}}
    return _any([_equals(wanted.name, value) for value in wanted.values])


def _equals(key: str, value: bool | int | float | str) -> _Query:
    """An attribute of this value and type; integers and floats are of one type, as in JSON."""
    name = searched_part(key)
    match value:
        case bool():
            return {"term": {ATTRIBUTES: f"{name}\0b{'true' if value else 'false'}"}}
        case int() | float():
            return {"term": {ATTRIBUTES: f"{name}\0n{number(value)}"}}
    part = searched_part(value)
    text = {"term": {ATTRIBUTES: f"{name}\0t{part}"}}
    if (other := _same_text(part)) is None:
        return text
    # Not the number or boolean that is written like it.
    return {"bool": {"filter": [text], "must_not": [{"term": {ATTRIBUTES: f"{name}\0{other}"}}]}}


def _same_text(text: str) -> str | None:
    """The term of the number or boolean that has this text in JSON; None where there is none."""
    if text in ("true", "false"):
        return f"b{text}"
    try:
        found: int | float = int(text) if text.lstrip("-").isdecimal() else float(text)
        return f"n{number(found)}" if number_text(found) == text else None
    except (ValueError, ArithmeticError):
        return None


def _any(queries: Sequence[_Query]) -> _Query:
    return queries[0] if len(queries) == 1 else {"bool": {"should": list(queries), "minimum_should_match": 1}}
