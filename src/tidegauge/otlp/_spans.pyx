"""Spans (opentelemetry/proto/trace/v1/trace.proto) to columns, from the bytes of a request; ``spans`` tells what becomes of them.

Every byte is read after a look at the end of the message that it stands in (``_wire.pxd``), and what Python gets is made of checked data
alone.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport PyObject

from orjson import dumps as _dumps

from tidegauge._buffer cimport Buffer, append, buffer_close, buffer_open, taken
from tidegauge.otlp._json cimport Attributes, attributes_add, attributes_begin, attributes_end
from tidegauge.otlp._objects cimport bytes_of, string_of, text_outcome
from tidegauge.otlp._span_lists cimport write_event, write_link
from tidegauge.otlp._wire cimport (
    DECLINED, FINE, FIXED32, FIXED64, LENGTH, ODD, VARINT, Cursor, is_zero, left, read_fixed32, read_fixed64, read_inner, read_tag,
    read_varint, skip_value,
)

cdef enum:
    INT16_MAX = 32767
    NAMES = 64  # How many names are remembered while one part is read; a power of two.


cdef struct Name:
    # A name seen in the part, and its string, which the batch holds.
    const uint8_t *at
    size_t size
    PyObject *text


cdef struct Span:
    # The fields of one span; of those that are not there the cursor is empty, the number 0.
    Cursor trace_id, span_id, parent, name, trace_state, message
    uint64_t start, end, kind, code
    uint64_t dropped_attributes, dropped_events, dropped_links
    uint32_t flags
    uint32_t seen


cdef class _Scan:
    # All of it begins as zeros.
    cdef Buffer out
    cdef Buffer events
    cdef Buffer links
    cdef const uint8_t *base
    cdef const uint8_t *trace_at
    cdef object trace_id
    cdef Name names[NAMES]
    cdef size_t made
    cdef list start_times, end_times, trace_ids, span_ids, parents, names_column, kinds, codes, messages, states, flags
    cdef list attributes, events_column, links_column, dropped_attributes, dropped_events, dropped_links, originals

    def __cinit__(self, tuple columns):
        cdef int place
        self.out.data = self.events.data = self.links.data = NULL
        (
            self.start_times, self.end_times, self.trace_ids, self.span_ids, self.parents, self.names_column, self.kinds, self.codes,
            self.messages, self.states, self.flags, self.attributes, self.events_column, self.links_column, self.dropped_attributes,
            self.dropped_events, self.dropped_links, self.originals,
        ) = columns
        for place in range(NAMES):
            self.names[place].text = NULL
        buffer_open(&self.out, 4096)
        buffer_open(&self.events, 256)
        buffer_open(&self.links, 256)

    def __dealloc__(self):
        buffer_close(&self.out)
        buffer_close(&self.events)
        buffer_close(&self.links)

    cdef list request(self, Cursor body):
        """Resources with their scopes; None where the request is declined."""
        cdef uint32_t number
        cdef int wire
        cdef Cursor inner
        cdef list found = []
        while body.at < body.end:
            if not read_tag(&body, &number, &wire):
                return None
            if number != 1:
                if not skip_value(&body, wire):
                    return None
                continue
            if wire != LENGTH or not read_inner(&body, &inner):
                return None
            resource = self.around(inner, False)
            if resource is None:
                return None
            found.append(resource)
        return found

    cdef tuple around(self, Cursor message, bint is_scope):
        """A ResourceSpans: (resource, schema_url, scopes); or a ScopeSpans: (scope, schema_url, number of spans, those that are odd).

        Their fields have the same numbers.
        """
        cdef uint32_t number
        cdef int wire, outcome
        cdef Cursor inner
        cdef Py_ssize_t count = 0
        cdef list found = []
        cdef bytes origin = None
        cdef str url = None
        while message.at < message.end:
            if not read_tag(&message, &number, &wire):
                return None
            if number > 3:
                if not skip_value(&message, wire):
                    return None
                continue
            if wire != LENGTH or not read_inner(&message, &inner):
                return None
            if number == 2 and is_scope:
                outcome = self.span(inner)
                if outcome == DECLINED:
                    return None
                if outcome == ODD:
                    found.append((count, inner.at - self.base, inner.end - self.base))
                count += 1
            elif number == 2:
                scope = self.around(inner, True)
                if scope is None:
                    return None
                found.append(scope)
            elif number == 1 and origin is None:
                origin = bytes_of(&inner)
            elif number == 3 and url is None and text_outcome(&inner) != DECLINED:
                url = string_of(&inner)
            else:
                return None
        return (origin or b"", url or "", count, found) if is_scope else (origin or b"", url or "", found)

    cdef int span(self, Cursor message) except -1:
        """Add a row."""
        cdef Span span
        cdef Attributes attributes
        cdef int outcome
        attributes_begin(&attributes, &self.out)
        self.events.used = self.links.used = 0
        outcome = self.fields(&span, &attributes, message)
        if outcome == DECLINED or not _is_valid(&span):
            self.out.used = attributes.start
            return DECLINED
        if span.parent.at != span.parent.end and is_zero(&span.parent):
            outcome = ODD
        found = attributes_end(&attributes)
        if found is None:
            outcome = ODD
        else:
            self.made += <size_t>PyBytes_GET_SIZE(found)
        self.attributes.append(found)
        # Checked: the texts are UTF-8.
        self.names_column.append(self.name(&span.name))
        self.messages.append(string_of(&span.message))
        self.states.append(string_of(&span.trace_state))
        self.ids(&span)
        self.start_times.append(span.start)
        self.end_times.append(span.end)
        self.kinds.append(span.kind if span.kind <= INT16_MAX else 0)
        self.codes.append(span.code if span.code <= INT16_MAX else 0)
        self.flags.append(span.flags)
        self.dropped_attributes.append(span.dropped_attributes)
        self.dropped_events.append(span.dropped_events)
        self.dropped_links.append(span.dropped_links)
        self.events_column.append(self.listed(&self.events, outcome))
        self.links_column.append(self.listed(&self.links, outcome))
        self.originals.append(None)
        return outcome

    cdef object listed(self, Buffer *items, int outcome):
        """A JSON array of the objects written, or None for none. An odd span's are read from its message."""
        if items.used == 0 or outcome != FINE:
            return None
        append(items, "]", 1)
        self.made += items.used
        return taken(items, 0)

    cdef int ids(self, Span *span) except -1:
        # Spans of a trace often stand together.
        if self.trace_at == NULL or memcmp(self.trace_at, span.trace_id.at, 16) != 0:
            self.trace_at = span.trace_id.at
            self.trace_id = bytes_of(&span.trace_id)
        self.trace_ids.append(self.trace_id)
        self.span_ids.append(bytes_of(&span.span_id))
        self.parents.append(bytes_of(&span.parent) if span.parent.at != span.parent.end else None)
        return 0

    cdef str name(self, const Cursor *text):
        """A name, which is UTF-8: names repeat."""
        cdef size_t size = left(text), seed = size
        cdef uint64_t word
        if size == 0:
            return ""
        if size >= 8:
            memcpy(&word, text.at, 8)
            seed += <size_t>(word * 0x9E3779B97F4A7C15ULL >> 32)
            memcpy(&word, text.end - 8, 8)
            seed += <size_t>(word * 0x9E3779B97F4A7C15ULL >> 40)
        else:
            seed += text.at[0] * 31 + text.at[size - 1]
        cdef Name *known = &self.names[seed & (NAMES - 1)]
        if known.text != NULL and known.size == size and memcmp(known.at, text.at, size) == 0:
            return <str>known.text
        cdef str found = string_of(text)
        known.at, known.size, known.text = text.at, size, <PyObject *>found
        return found

    cdef int fields(self, Span *span, Attributes *attributes, Cursor message) except -1:
        """Read a span's fields. FINE, ODD, or DECLINED, also where a field stands twice that is there once."""
        cdef uint32_t number, bit
        cdef int wire, outcome = FINE
        cdef Cursor inner
        span.trace_id = span.span_id = span.parent = span.name = span.trace_state = span.message = Cursor(message.at, message.at)
        span.start = span.end = span.kind = span.code = 0
        span.dropped_attributes = span.dropped_events = span.dropped_links = 0
        span.flags = span.seen = 0
        while message.at < message.end:
            if not read_tag(&message, &number, &wire):
                return DECLINED
            if number > 16:
                if not skip_value(&message, wire):
                    return DECLINED
                continue
            if wire == LENGTH:
                if not read_inner(&message, &inner):
                    return DECLINED
                if number == 9:
                    outcome |= attributes_add(attributes, inner, _dumps)
                    if outcome & DECLINED:
                        return DECLINED
                    continue
                if number == 11:
                    outcome |= write_event(&self.events, inner, _dumps)
                    continue
                if number == 13:
                    outcome |= write_link(&self.links, inner, _dumps)
                    continue
            bit = <uint32_t>1 << number
            if span.seen & bit:
                return DECLINED
            span.seen |= bit
            outcome |= _field(span, number, wire, &message, &inner)
            if outcome & DECLINED:
                return DECLINED
        return DECLINED if outcome & DECLINED else outcome


cdef int _field(Span *span, uint32_t number, int wire, Cursor *message, Cursor *inner) noexcept:
    """A field that is there once: of a length the value is ``inner``, else it is still to be read."""
    cdef uint64_t value = 0
    if wire == LENGTH:
        if number == 1:
            span.trace_id = inner[0]
        elif number == 2:
            span.span_id = inner[0]
        elif number == 4:
            span.parent = inner[0]
        elif number == 5:
            span.name = inner[0]
            return text_outcome(inner)
        elif number == 3:
            span.trace_state = inner[0]
            return text_outcome(inner)
        elif number == 15:
            return _status(span, inner[0])
        else:
            return DECLINED
        return FINE
    if wire == FIXED64:
        if not read_fixed64(message, &value):
            return DECLINED
        if number == 7:
            span.start = value
        elif number == 8:
            span.end = value
        else:
            return DECLINED
        return FINE
    if wire == FIXED32:
        return FINE if number == 16 and read_fixed32(message, &span.flags) else DECLINED
    if not read_varint(message, &value):
        return DECLINED
    if number == 6:
        span.kind = value
        return FINE if value <= INT16_MAX else ODD
    if number == 10:
        span.dropped_attributes = value
    elif number == 12:
        span.dropped_events = value
    elif number == 14:
        span.dropped_links = value
    else:
        return DECLINED
    return FINE if value <= 0xFFFFFFFFU else ODD


cdef int _status(Span *span, Cursor status) noexcept:
    cdef uint32_t number
    cdef int wire, outcome = FINE
    cdef bint has_code = False, has_message = False
    while status.at < status.end:
        if not read_tag(&status, &number, &wire):
            return DECLINED
        if number == 2 and wire == LENGTH and not has_message:
            has_message = True
            if not read_inner(&status, &span.message):
                return DECLINED
            outcome |= text_outcome(&span.message)
        elif number == 3 and wire == VARINT and not has_code:
            has_code = True
            if not read_varint(&status, &span.code):
                return DECLINED
            if span.code > INT16_MAX:
                outcome |= ODD
        elif number == 2 or number == 3 or not skip_value(&status, wire):
            return DECLINED
    return outcome


cdef bint _is_valid(const Span *span) noexcept:
    """Whether a span can be stored. Those that cannot are counted by Python."""
    cdef size_t parent = left(&span.parent)
    return (
        left(&span.trace_id) == 16
        and left(&span.span_id) == 8
        and (parent == 0 or parent == 8)
        and 0 < span.start <= 0x7FFFFFFFFFFFFFFFULL
        and span.end <= 0x7FFFFFFFFFFFFFFFULL
        and not is_zero(&span.trace_id)
        and not is_zero(&span.span_id)
    )


def scan(bytes body not None, tuple columns not None):
    """Add the rows of a request. ``columns`` are the lists of a SpanBatch, from ``start_time_unix_nano`` on, in this module's order.

    Returns what stands around them, and the bytes of JSON made; None where the request is declined, and then the lists may have grown.
    """
    cdef _Scan scan = _Scan(columns)
    cdef Cursor message
    message.at = scan.base = <const uint8_t *>PyBytes_AS_STRING(body)
    message.end = message.at + PyBytes_GET_SIZE(body)
    found = scan.request(message)
    return None if found is None else (found, scan.made)
