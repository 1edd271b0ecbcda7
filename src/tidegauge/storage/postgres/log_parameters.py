"""What the statements in sql/queries/logs.sql are given."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

import orjson

from tidegauge.errors import InvalidArgument
from tidegauge.model import text_search
from tidegauge.model.query import CORRELATION_KEYS, SEARCHED_BYTES, AttributeFilter, Cursor, LogFilter, Order, searched_part
from tidegauge.model.records import StoredLog
from tidegauge.model.text_search import Term, TextQuery
from tidegauge.storage.postgres.reading import attribute_conditions, span_number, timestamp

_TIE = struct.Struct(">16si")
_LOG_ID = re.compile(r"([0-9a-f]{32})-(\d{1,10})", re.ASCII)
_MAX_ORDINAL = (1 << 31) - 1
# A value up to here equals no longer one's searched part, of which a character of four bytes may have been cut.
_WHOLE_BYTES = SEARCHED_BYTES - 4


@dataclass(frozen=True, slots=True)
class LogKey:
    """What a ``log_id`` says."""

    digest: UUID
    ordinal: int

    @classmethod
    def parse(cls, log_id: str) -> LogKey:
        """Of an id as the API writes it; raises InvalidArgument where it is none."""
        match = _LOG_ID.fullmatch(log_id)
        if match is None or int(match[2]) > _MAX_ORDINAL:
            raise InvalidArgument(
                f"log_id={log_id[:100]!r} is not the id of a record", hint="32 hexadecimal digits, a dash and a number", parameter="log_id"
            )
        return cls(UUID(match[1]), int(match[2]))


def cursor_of(record: StoredLog) -> Cursor:
    """Where a page behind a record begins."""
    key = LogKey.parse(record.log_id)
    return Cursor(record.timestamp_unix_nano, _TIE.pack(key.digest.bytes, key.ordinal))


def tsquery(query: TextQuery) -> str:
    """PostgreSQL's text of a query; its words hold neither quotes nor backslashes."""
    return " | ".join(" & ".join(map(_term, terms)) for terms in query.alternatives)


def _term(term: Term) -> str:
    phrase = " <-> ".join(f"'{word}'" for word in term.words)
    return f"!({phrase})" if term.negated else f"({phrase})"


def may_match(wanted: LogFilter) -> bool:
    """Whether any record can match: a text without words finds nothing."""
    return wanted.text is None or bool(text_search.parse(wanted.text).alternatives)


def conditions(tenant_id: int, wanted: LogFilter) -> Mapping[str, object]:
    """The parameters of the fragment ``wanted``."""
    long = [each for each in wanted.attributes if any(map(_is_long, each.values))]
    short = [each for each in wanted.attributes if each not in long]
    return {
        "tenant_id": tenant_id,
        "start": timestamp(wanted.time.start_ns),
        "end": timestamp(wanted.time.end_ns, up=True),
        "text": None if wanted.text is None else tsquery(text_search.parse(wanted.text)),
        "min_severity": wanted.min_severity,
        "max_severity": wanted.max_severity,
        "service": wanted.service,
        "trace_id": None if wanted.trace_id is None else UUID(wanted.trace_id),
        "span_id": None if wanted.span_id is None else span_number(wanted.span_id),
        "correlation_id": None if wanted.correlation_id is None else searched_part(wanted.correlation_id),
        "correlation_keys": list(CORRELATION_KEYS),
        "long": orjson.dumps([_searched(each) for each in long]).decode() if long else None,
        **attribute_conditions(short),
    }


def page(wanted: LogFilter, after: Cursor | None, order: Order) -> tuple[LogFilter, Mapping[str, object]]:
    """The filter, with no more of its time than lies behind the cursor, and the parameters of ``before`` or ``after``.

    Raises:
        InvalidArgument: the cursor is not of this search.

    """
    if after is None:
        return wanted, {"after": None, "after_ns": None, "after_digest": None, "after_ordinal": None}
    if len(after.tie) != _TIE.size:
        raise InvalidArgument("cursor is not one of this search", parameter="cursor")
    digest, ordinal = _TIE.unpack(after.tie)
    place = {
        "after": timestamp(after.time_ns),
        "after_ns": after.time_ns % 1000,
        "after_digest": UUID(bytes=digest),
        "after_ordinal": ordinal,
    }
    # So that what lies on the other side is not even looked at. A range cannot be empty: then the cursor leaves nothing anyway.
    time = wanted.time
    if order is Order.NEWEST_FIRST and time.start_ns < after.time_ns + 1000 < time.end_ns:
        time = replace(time, end_ns=after.time_ns + 1000)
    elif order is Order.OLDEST_FIRST and time.start_ns < after.time_ns < time.end_ns:
        time = replace(time, start_ns=after.time_ns)
    return replace(wanted, time=time), place


def _is_long(value: object) -> bool:
    return isinstance(value, str) and len(value.encode(errors="replace")) > _WHOLE_BYTES


def _searched(filter_: AttributeFilter) -> tuple[str, list[str]]:
    return filter_.name, [searched_part(value) for value in filter_.values if isinstance(value, str)]
