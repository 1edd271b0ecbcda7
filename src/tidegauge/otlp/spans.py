"""Spans (opentelemetry/proto/trace/v1/trace.proto) to a SpanBatch.

By the compiled scan where it was built and takes them; else column by column, as far as all spans are alike. Either way a span with
anything out of the ordinary is read once more from its message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import compress
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tidegauge import compiled
from tidegauge.model.batch import SpanBatch
from tidegauge.otlp.attributes import AttributeCache, total_bytes
from tidegauge.otlp.budget import SPAN_BYTES, Budget
from tidegauge.otlp.items import Part, chunks, drop_rows, read_part
from tidegauge.otlp.limits import INT16_MAX, TIME_END, ZERO_SPAN_ID, ZERO_TRACE_ID, valid_span_id, valid_trace_id
from tidegauge.otlp.origins import Origins
from tidegauge.otlp.rejections import Rejections
from tidegauge.otlp.values import JsonColumns

_compiled = compiled.module("tidegauge.otlp._spans")


def decode_spans(parts: Iterable[Part], origins: Origins, rejections: Rejections, budget: Budget, cache: AttributeCache) -> SpanBatch:
    """All spans of a request, which may come in parts."""
    batch = SpanBatch(origins.resources, origins.scopes)
    decoder = _SpanDecoder(batch, origins, rejections, budget, cache)
    for part in parts:
        read_part(part, batch, budget, decoder.read)
    batch.rejections = rejections.listed()
    return batch


def _resource(part: Part, outer: int) -> Resource:
    found: Resource = part.message().resource_spans[outer].resource
    return found


def _scope(part: Part, outer: int, inner: int) -> InstrumentationScope:
    found: InstrumentationScope = part.message().resource_spans[outer].scope_spans[inner].scope
    return found


def _messages(part: Part, outer: int, inner: int, places: Sequence[int] | None = None) -> Sequence[Span]:
    """All of a list, or those at some places."""
    some = part.some(outer, inner, places) if places else None
    if some is not None:
        return some.resource_spans[0].scope_spans[0].spans  # type: ignore[no-any-return]
    found: Sequence[Span] = part.message().resource_spans[outer].scope_spans[inner].spans
    return found if places is None else [found[place] for place in places]


def _odd_messages(part: Part, outer: int, inner: int, odd: Sequence[tuple[int, int, int]]) -> Sequence[Span]:
    """Those that the scan found to be odd: (place, first byte, end)."""
    some = part.cut([(first, end) for _, first, end in odd])
    if some is not None:
        return some.resource_spans[0].scope_spans[0].spans  # type: ignore[no-any-return]
    found: Sequence[Span] = part.message().resource_spans[outer].scope_spans[inner].spans
    return [found[place] for place, _, _ in odd]


class _SpanDecoder:
    def __init__(self, batch: SpanBatch, origins: Origins, rejections: Rejections, budget: Budget, cache: AttributeCache) -> None:
        self._batch = batch
        self._origins = origins
        self._rejections = rejections
        self._budget = budget
        self._sent: Sequence[bytes | None] = ()
        self._cache = cache
        self._scanned_columns = (
            batch.start_time_unix_nano, batch.end_time_unix_nano, batch.trace_id, batch.span_id, batch.parent_span_id, batch.name,
            batch.kind, batch.status_code, batch.status_message, batch.trace_state, batch.flags, batch.attributes, batch.events,
            batch.links, batch.dropped_attributes_count, batch.dropped_events_count, batch.dropped_links_count, batch.original,
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
        self._budget.spend((row - first) * SPAN_BYTES + written)
        return True

    def _read(self, part: Part) -> None:
        batch, origins = self._batch, self._origins
        items = 0
        for outer, lean_resource in enumerate(part.lean.items):
            resource = origins.resource(lean_resource, partial(_resource, part, outer))
            self._rejections.service = origins.resources[resource].service_name
            for inner, lean_scope in enumerate(lean_resource.items):
                scope = origins.scope(lean_scope, partial(_scope, part, outer, inner))
                before = len(batch)
                self._sent = part.sent[items : items + len(lean_scope.items)]
                items += len(lean_scope.items)
                for places, spans in chunks(lean_scope.items):
                    self._add(spans, partial(_messages, part, outer, inner), places)
                added = len(batch) - before
                batch.resource += [resource] * added
                batch.scope += [scope] * added

    def _add(self, spans: Sequence[Any], messages: Callable[..., Sequence[Span]], places: Sequence[int]) -> None:
        """Add a row a span. ``messages()[places[i]]`` is the message of ``spans[i]``. This is the hot path."""
        batch = self._batch
        trace_ids = [span.trace_id for span in spans]
        span_ids = [span.span_id for span in spans]
        parents = [span.parent_span_id or None for span in spans]
        starts = [span.start_time_unix_nano for span in spans]
        ends = [span.end_time_unix_nano for span in spans]
        if not _are_valid(trace_ids, span_ids, parents, starts, ends):
            good = [row for row, place in enumerate(places) if self._is_kept(messages()[place])]
            if len(good) < len(spans):
                if good:
                    self._add([spans[row] for row in good], messages, [places[row] for row in good])
                return
        first, count = len(batch), len(spans)
        batch.trace_id += trace_ids
        batch.span_id += span_ids
        batch.parent_span_id += parents
        batch.start_time_unix_nano += starts
        batch.end_time_unix_nano += ends
        batch.name += [span.name for span in spans]
        batch.kind += [span.kind for span in spans]
        batch.flags += [span.flags for span in spans]
        attributes = self._cache.objects([span.attributes for span in spans], messages)
        batch.attributes += attributes  # type: ignore[arg-type]
        for numbers in (batch.status_code, batch.dropped_attributes_count, batch.dropped_events_count, batch.dropped_links_count):
            numbers.extend([0] * count)
        for texts in (batch.status_message, batch.trace_state):
            texts.extend([""] * count)
        for nullable in (batch.events, batch.links, batch.original):
            nullable.extend([None] * count)
        odd = sorted(self._odd_rows(spans, first))
        if odd:
            self._complete_all([first + row for row in odd], messages([places[row] for row in odd]))
        if self._sent:
            for row, place in enumerate(places, first):
                batch.original[row] = self._sent[place] or batch.original[row]
        self._budget.spend(count * SPAN_BYTES + total_bytes(attributes))

    def _odd_rows(self, spans: Sequence[Any], first: int) -> set[int]:
        """Which of the spans are not in their rows (from ``first``) as they have to be. Statuses are put there."""
        batch, rows = self._batch, range(len(spans))
        odd = set(compress(rows, [span.WhichOneof("other") for span in spans]))
        for row in compress(rows, [span.HasField("status") for span in spans]):
            status = spans[row].status
            code = batch.status_code[first + row] = status.code
            message = batch.status_message[first + row] = status.message
            if "\0" in message or not 0 <= code <= INT16_MAX:
                odd.add(row)
        # Seldom does any span have the following: looked for in all at once.
        names, kinds, parents, attributes = batch.name[first:], batch.kind[first:], batch.parent_span_id[first:], batch.attributes[first:]
        if "\0" in "".join(names):
            odd.update(row for row in rows if "\0" in names[row])
        if min(kinds) < 0 or max(kinds) > INT16_MAX:
            odd.update(row for row in rows if not 0 <= kinds[row] <= INT16_MAX)
        if ZERO_SPAN_ID in parents:
            odd.update(row for row in rows if parents[row] == ZERO_SPAN_ID)
        if None in attributes:
            odd.update(row for row in rows if attributes[row] is None)
        return odd

    def _complete_all(self, rows: Sequence[int], messages: Sequence[Span]) -> None:
        columns = JsonColumns()
        for row, message in zip(rows, messages, strict=True):
            self._complete(row, message, columns)
        self._budget.spend(columns.written)

    def _complete(self, row: int, span: Span, columns: JsonColumns) -> None:
        """Set what may be out of the ordinary, and ``original`` where the columns do not hold it."""
        batch = self._batch
        batch.name[row] = columns.text(span.name)
        batch.trace_state[row] = columns.text(span.trace_state)
        batch.kind[row] = _small(span.kind, columns)
        batch.status_code[row] = _small(span.status.code, columns)
        batch.status_message[row] = columns.text(span.status.message)
        if span.parent_span_id == ZERO_SPAN_ID:
            batch.parent_span_id[row], columns.lossy = None, True
        if batch.attributes[row] is None:
            batch.attributes[row] = columns.attributes(span.attributes)
        batch.events[row] = _events(span.events, columns) if span.events else None
        batch.links[row] = _links(span.links, columns) if span.links else None
        batch.dropped_attributes_count[row] = span.dropped_attributes_count
        batch.dropped_events_count[row] = span.dropped_events_count
        batch.dropped_links_count[row] = span.dropped_links_count
        if columns.lossy:
            original = batch.original[row] = span.SerializeToString()
            columns.written += len(original)
            columns.lossy = False

    def _is_kept(self, span: Span) -> bool:
        """Whether a span can be stored; counts it among the rejections if not."""
        fault = _fault(span)
        if fault:
            self._rejections.add(*fault, span)
        return not fault


def _are_valid(
    trace_ids: Sequence[bytes], span_ids: Sequence[bytes], parents: Sequence[bytes | None], starts: Sequence[int], ends: Sequence[int]
) -> bool:
    """Whether none of the spans has a fault."""
    return (
        set(map(len, trace_ids)) == {16}
        and set(map(len, span_ids)) == {8}
        and set(map(len, filter(None, parents))) <= {8}
        and min(starts) > 0
        and max(starts) < TIME_END
        and max(ends) < TIME_END
        and ZERO_TRACE_ID not in trace_ids
        and ZERO_SPAN_ID not in span_ids
    )


def _events(events: Iterable[Span.Event], columns: JsonColumns) -> bytes:
    found: list[dict[str, object]] = []
    for event in events:
        item: dict[str, object] = {
            "name": event.name,
            "time_unix_nano": str(event.time_unix_nano),
            "attributes": columns.mapping(event.attributes),
        }
        if event.dropped_attributes_count:
            item["dropped_attributes_count"] = event.dropped_attributes_count
        found.append(item)
    return columns.dumps(found)


def _links(links: Iterable[Span.Link], columns: JsonColumns) -> bytes:
    found: list[dict[str, object]] = []
    for link in links:
        item: dict[str, object] = {
            "trace_id": link.trace_id.hex(),
            "span_id": link.span_id.hex(),
            "attributes": columns.mapping(link.attributes),
        }
        if link.trace_state:
            item["trace_state"] = link.trace_state
        if link.flags:
            item["flags"] = link.flags
        if link.dropped_attributes_count:
            item["dropped_attributes_count"] = link.dropped_attributes_count
        found.append(item)
    return columns.dumps(found)


def _small(value: int, columns: JsonColumns) -> int:
    """An enum's number if a smallint holds it, else 0."""
    if 0 <= value <= INT16_MAX:
        return value
    columns.lossy = True
    return 0


def _fault(span: Span) -> tuple[str, str] | None:
    """Reason and message for a span that cannot be stored."""
    if not valid_trace_id(span.trace_id):
        return "invalid_trace_id", "a span's trace_id must be 16 bytes that are not all zero"
    if not valid_span_id(span.span_id):
        return "invalid_span_id", "a span's span_id must be 8 bytes that are not all zero"
    if len(span.parent_span_id) not in (0, 8):
        return "invalid_parent_span_id", "a span's parent_span_id must be empty or 8 bytes"
    if span.start_time_unix_nano == 0:
        return "missing_time", "a span must have a start_time_unix_nano"
    if max(span.start_time_unix_nano, span.end_time_unix_nano) >= TIME_END:
        return "time_out_of_range", "a span's times must be before 2262-04-11 (2^63 nanoseconds)"
    return None
