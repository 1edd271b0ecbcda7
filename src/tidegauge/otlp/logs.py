"""Log records (opentelemetry/proto/logs/v1/logs.proto) to a LogBatch.

By the compiled scan where it was built and takes them; else column by column, as far as all records are alike. Either way a record with
anything out of the ordinary is read once more from its message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import compress
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tidegauge import compiled
from tidegauge.model.batch import LogBatch
from tidegauge.otlp.attributes import AttributeCache, total_bytes
from tidegauge.otlp.budget import LOG_BYTES, Budget
from tidegauge.otlp.items import Part, chunks, drop_rows, read_part
from tidegauge.otlp.limits import INT16_MAX, TIME_END, ZERO_SPAN_ID, ZERO_TRACE_ID, valid_span_id, valid_trace_id
from tidegauge.otlp.origins import Origins
from tidegauge.otlp.rejections import Rejections
from tidegauge.otlp.values import JsonColumns

_compiled = compiled.module("tidegauge.otlp._logs")


def decode_logs(parts: Iterable[Part], origins: Origins, rejections: Rejections, budget: Budget, cache: AttributeCache) -> LogBatch:
    """All log records of a request, which may come in parts."""
    batch = LogBatch(origins.resources, origins.scopes)
    decoder = _LogDecoder(batch, origins, rejections, budget, cache)
    for part in parts:
        read_part(part, batch, budget, decoder.read)
    batch.ordinal = _among_all(batch.ordinal, rejections.malformed)
    batch.rejections = rejections.listed()
    return batch


def _among_all(ordinals: list[int], malformed: Sequence[int]) -> list[int]:
    """Places in a request, of places among those of its records that could be read; both in order."""
    if not malformed:
        return ordinals
    found = []
    skipped = 0
    for ordinal in ordinals:
        while skipped < len(malformed) and malformed[skipped] <= ordinal + skipped:
            skipped += 1
        found.append(ordinal + skipped)
    return found


def _resource(part: Part, outer: int) -> Resource:
    found: Resource = part.message().resource_logs[outer].resource
    return found


def _scope(part: Part, outer: int, inner: int) -> InstrumentationScope:
    found: InstrumentationScope = part.message().resource_logs[outer].scope_logs[inner].scope
    return found


def _messages(part: Part, outer: int, inner: int, places: Sequence[int] | None = None) -> Sequence[LogRecord]:
    """All of a list, or those at some places."""
    some = part.some(outer, inner, places) if places else None
    if some is not None:
        return some.resource_logs[0].scope_logs[0].log_records  # type: ignore[no-any-return]
    found: Sequence[LogRecord] = part.message().resource_logs[outer].scope_logs[inner].log_records
    return found if places is None else [found[place] for place in places]


def _odd_messages(part: Part, outer: int, inner: int, odd: Sequence[tuple[int, int, int]]) -> Sequence[LogRecord]:
    """Those that the scan found to be odd: (place, first byte, end)."""
    some = part.cut([(first, end) for _, first, end in odd])
    if some is not None:
        return some.resource_logs[0].scope_logs[0].log_records  # type: ignore[no-any-return]
    found: Sequence[LogRecord] = part.message().resource_logs[outer].scope_logs[inner].log_records
    return [found[place] for place, _, _ in odd]


class _LogDecoder:
    def __init__(self, batch: LogBatch, origins: Origins, rejections: Rejections, budget: Budget, cache: AttributeCache) -> None:
        self._batch = batch
        self._origins = origins
        self._rejections = rejections
        self._budget = budget
        self._sent: Sequence[bytes | None] = ()
        self._cache = cache
        self._count = 0
        self._scanned_columns = (
            batch.time_unix_nano, batch.observed_time_unix_nano, batch.severity_number, batch.severity_text, batch.event_name, batch.body,
            batch.attributes, batch.trace_id, batch.span_id, batch.flags, batch.dropped_attributes_count, batch.original,
        )  # fmt: skip

    def read(self, part: Part) -> None:
        """Add the rows of a part."""
        if part.body is None or _compiled is None or not self._scan(part, part.body):
            self._read(part)

    def _scan(self, part: Part, body: bytes) -> bool:
        """Add the rows of a part from its bytes; false where they are to be read by Python."""
        batch, origins = self._batch, self._origins
        row = first = len(batch)
        found = _compiled.scan(body, self._scanned_columns)
        if found is None:
            drop_rows(batch, first)
            return False
        resources, written = found
        for outer, (raw_resource, url, scopes) in enumerate(resources):
            resource = origins.resource_of(raw_resource, url, partial(_resource, part, outer))
            self._rejections.service = origins.resources[resource].service_name
            for inner, (raw_scope, scope_url, count, odd) in enumerate(scopes):
                scope = origins.scope_of(raw_scope, scope_url, partial(_scope, part, outer, inner))
                batch.resource += [resource] * count
                batch.scope += [scope] * count
                if odd:
                    self._complete_all([row + place for place, _, _ in odd], _odd_messages(part, outer, inner, odd))
                row += count
        batch.ordinal += range(self._count, self._count + row - first)
        self._count += row - first
        self._budget.spend((row - first) * LOG_BYTES + written)
        return True

    def _read(self, part: Part) -> None:
        batch, origins = self._batch, self._origins
        items = 0
        ordinal = self._count
        for outer, lean_resource in enumerate(part.lean.items):
            resource = origins.resource(lean_resource, partial(_resource, part, outer))
            self._rejections.service = origins.resources[resource].service_name
            for inner, lean_scope in enumerate(lean_resource.items):
                scope = origins.scope(lean_scope, partial(_scope, part, outer, inner))
                before = len(batch)
                self._sent = part.sent[items : items + len(lean_scope.items)]
                items += len(lean_scope.items)
                for places, records in chunks(lean_scope.items):
                    self._add(records, partial(_messages, part, outer, inner), places, ordinal)
                ordinal += len(lean_scope.items)
                added = len(batch) - before
                batch.resource += [resource] * added
                batch.scope += [scope] * added
        self._count = ordinal

    def _add(self, records: Sequence[Any], messages: Callable[..., Sequence[LogRecord]], places: Sequence[int], ordinal: int) -> None:
        """Add a row a record. ``messages()[places[i]]`` is the message of ``records[i]``; the list's first is the request's ``ordinal``-th.

        This is the hot path.
        """
        batch = self._batch
        times = [record.time_unix_nano for record in records]
        observed_times = [record.observed_time_unix_nano for record in records]
        if max(times) >= TIME_END or max(observed_times) >= TIME_END:
            good = [row for row, place in enumerate(places) if self._is_kept(messages()[place])]
            if good:
                self._add([records[row] for row in good], messages, [places[row] for row in good], ordinal)
            return
        first, count = len(batch), len(records)
        batch.ordinal += [ordinal + place for place in places]
        batch.time_unix_nano += times
        batch.observed_time_unix_nano += observed_times
        batch.severity_number += [record.severity_number for record in records]
        batch.severity_text += [record.severity_text for record in records]
        # An empty body, none, and one of another type are told apart by the message.
        batch.body += [record.body.string_value or None for record in records]
        batch.trace_id += [record.trace_id or None for record in records]
        batch.span_id += [record.span_id or None for record in records]
        batch.flags += [record.flags for record in records]
        attributes = self._cache.objects([record.attributes for record in records], messages)
        batch.attributes += attributes  # type: ignore[arg-type]
        batch.event_name += [""] * count
        batch.dropped_attributes_count += [0] * count
        batch.original += [None] * count
        odd = sorted(self._odd_rows(records, first))
        if odd:
            self._complete_all([first + row for row in odd], messages([places[row] for row in odd]))
        if self._sent:
            for row, place in enumerate(places, first):
                batch.original[row] = self._sent[place] or batch.original[row]
        self._budget.spend(count * LOG_BYTES + total_bytes(attributes))

    def _odd_rows(self, records: Sequence[Any], first: int) -> set[int]:
        """Which of the records are not in their rows (from ``first``) as they have to be."""
        batch, rows = self._batch, range(len(records))
        odd = set(compress(rows, [record.WhichOneof("other") for record in records]))
        bodies, attributes, severities = batch.body[first:], batch.attributes[first:], batch.severity_number[first:]
        trace_ids, span_ids = batch.trace_id[first:], batch.span_id[first:]
        if None in bodies:
            odd.update(row for row in rows if bodies[row] is None)
        if None in attributes:
            odd.update(row for row in rows if attributes[row] is None)
        # Seldom does any record have the following: looked for in all at once.
        texts = batch.severity_text[first:]
        if "\0" in "".join(filter(None, bodies)) or "\0" in "".join(texts):
            odd.update(row for row in rows if "\0" in texts[row] or "\0" in (bodies[row] or ""))
        if min(severities) < 0 or max(severities) > INT16_MAX:
            odd.update(row for row in rows if not 0 <= severities[row] <= INT16_MAX)
        if not (set(map(len, filter(None, trace_ids))) <= {16} and set(map(len, filter(None, span_ids))) <= {8}) or (
            ZERO_TRACE_ID in trace_ids or ZERO_SPAN_ID in span_ids
        ):
            odd.update(rows)
        return odd

    def _complete_all(self, rows: Sequence[int], messages: Sequence[LogRecord]) -> None:
        columns = JsonColumns()
        for row, message in zip(rows, messages, strict=True):
            self._complete(row, message, columns)
        self._budget.spend(columns.written)

    def _complete(self, row: int, record: LogRecord, columns: JsonColumns) -> None:
        """Set what may be out of the ordinary, and ``original`` where the columns do not hold it.

        Ids that mean nothing do not cost a record: it is then in no trace (logs.proto, trace_id).
        """
        batch = self._batch
        batch.severity_text[row] = columns.text(record.severity_text)
        batch.event_name[row] = columns.text(record.event_name)
        batch.body[row] = _body(record.body, columns) if record.HasField("body") else None
        batch.dropped_attributes_count[row] = record.dropped_attributes_count
        if batch.attributes[row] is None:
            batch.attributes[row] = columns.attributes(record.attributes)
        if not 0 <= record.severity_number <= INT16_MAX:
            batch.severity_number[row], columns.lossy = 0, True
        if record.trace_id and not valid_trace_id(record.trace_id):
            batch.trace_id[row], columns.lossy = None, True
        if record.span_id and not valid_span_id(record.span_id):
            batch.span_id[row], columns.lossy = None, True
        if columns.lossy:
            original = batch.original[row] = record.SerializeToString()
            columns.written += len(original)
            columns.lossy = False

    def _is_kept(self, record: LogRecord) -> bool:
        """Whether a record can be stored; counts it among the rejections if not."""
        kept: bool = max(record.time_unix_nano, record.observed_time_unix_nano) < TIME_END
        if not kept:
            self._rejections.add("time_out_of_range", "a log record's times must be before 2262-04-11 (2^63 nanoseconds)", record)
        return kept


def _body(body: AnyValue, columns: JsonColumns) -> str | None:
    """Text of a body: a string as it is, any other value as JSON, and the column cannot tell which of the two it was."""
    text = body.string_value
    if text:
        return columns.text(text)
    kind = body.WhichOneof("value")
    if kind is None:
        return None
    if kind == "string_value":
        return ""
    columns.lossy = True
    return columns.dumps(columns.value(body)).decode()
