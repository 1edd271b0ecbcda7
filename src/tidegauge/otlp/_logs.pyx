"""Log records (opentelemetry/proto/logs/v1/logs.proto) to columns, from the bytes of a request; ``logs`` tells what becomes of them.

Every byte is read after a look at the end of the message that it stands in (``_wire.pxd``), and what Python gets is made of checked data
alone.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from orjson import dumps as _dumps

from tidegauge._buffer cimport Buffer, buffer_close, buffer_open
from tidegauge.otlp._json cimport Attributes, attributes_add, attributes_begin, attributes_end
from tidegauge.otlp._objects cimport bytes_of, string_of, text_outcome
from tidegauge.otlp._wire cimport (
    DECLINED, FINE, FIXED32, FIXED64, LENGTH, ODD, VARINT, Cursor, is_zero, left, read_fixed32, read_fixed64, read_inner, read_tag,
    read_varint, skip_value,
)

cdef enum:
    INT16_MAX = 32767

cdef uint64_t INT64_MAX = 0x7FFFFFFFFFFFFFFFULL
cdef uint64_t UINT32_MAX = 0xFFFFFFFFU


cdef struct Record:
    # The fields of one record; of those that are not there the cursor is empty, the number 0.
    Cursor severity_text, body, trace_id, span_id, event_name
    uint64_t time, observed, severity, dropped
    uint32_t flags
    uint32_t seen
    bint has_text


cdef class _Scan:
    cdef Buffer out
    cdef const uint8_t *base
    cdef Cursor severity
    cdef str severity_text
    cdef size_t made
    cdef list times, observed_times, severities, severity_texts, names, bodies, attributes, trace_ids, span_ids, flags, dropped, originals

    def __cinit__(self, tuple columns):
        self.out.data = NULL
        (
            self.times, self.observed_times, self.severities, self.severity_texts, self.names, self.bodies, self.attributes,
            self.trace_ids, self.span_ids, self.flags, self.dropped, self.originals,
        ) = columns
        buffer_open(&self.out, 4096)

    def __dealloc__(self):
        buffer_close(&self.out)

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
        """A ResourceLogs: (resource, schema_url, scopes); or a ScopeLogs: (scope, schema_url, number of records, those that are odd).

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
                outcome = self.record(inner)
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

    cdef int record(self, Cursor message) except -1:
        """Add a row."""
        cdef Record record
        cdef Attributes attributes
        cdef int outcome
        attributes_begin(&attributes, &self.out)
        outcome = self.fields(&record, &attributes, message)
        if outcome == DECLINED or record.time > INT64_MAX or record.observed > INT64_MAX:
            self.out.used = attributes.start
            return DECLINED
        if not _is_id(&record.trace_id, 16) or not _is_id(&record.span_id, 8):
            outcome = ODD
        found = attributes_end(&attributes)
        if found is None:
            outcome = ODD
        else:
            self.made += <size_t>PyBytes_GET_SIZE(found)
        self.attributes.append(found)
        time = record.time
        self.times.append(time)
        self.observed_times.append(time if record.observed == record.time else record.observed)
        # Of 64 bits an enum has 32.
        if 0 <= <int32_t>record.severity <= INT16_MAX:
            self.severities.append(<int32_t>record.severity)
        else:
            self.severities.append(0)
            outcome = ODD
        # Checked: the texts are UTF-8.
        self.severity_texts.append(self.severity_of(&record.severity_text))
        self.names.append(string_of(&record.event_name))
        self.bodies.append(string_of(&record.body) if record.has_text else None)
        self.trace_ids.append(bytes_of(&record.trace_id) if left(&record.trace_id) else None)
        self.span_ids.append(bytes_of(&record.span_id) if left(&record.span_id) else None)
        self.flags.append(record.flags)
        self.dropped.append(record.dropped)
        self.originals.append(None)
        return outcome

    cdef str severity_of(self, const Cursor *text):
        """A text that is UTF-8: it is often that of the record before."""
        if self.severity_text is None or left(text) != left(&self.severity) or memcmp(text.at, self.severity.at, left(text)) != 0:
            self.severity, self.severity_text = text[0], string_of(text)
        return self.severity_text

    cdef int fields(self, Record *record, Attributes *attributes, Cursor message) except -1:
        """Read a record's fields. FINE, ODD, or DECLINED, also where a field stands twice that is there once."""
        cdef uint32_t number, bit
        cdef int wire, outcome = FINE
        cdef Cursor inner = Cursor(message.at, message.at)
        record.severity_text = record.body = record.trace_id = record.span_id = record.event_name = inner
        record.time = record.observed = record.severity = record.dropped = 0
        record.flags = record.seen = 0
        record.has_text = False
        while message.at < message.end:
            if not read_tag(&message, &number, &wire):
                return DECLINED
            if number > 12 or number == 4:
                if not skip_value(&message, wire):
                    return DECLINED
                continue
            if wire == LENGTH:
                if not read_inner(&message, &inner):
                    return DECLINED
                if number == 6:
                    outcome |= attributes_add(attributes, inner, _dumps)
                    if outcome & DECLINED:
                        return DECLINED
                    continue
            bit = <uint32_t>1 << number
            if record.seen & bit:
                return DECLINED
            record.seen |= bit
            outcome |= _field(record, number, wire, &message, &inner)
            if outcome & DECLINED:
                return DECLINED
        return outcome


cdef int _field(Record *record, uint32_t number, int wire, Cursor *message, Cursor *inner) noexcept:
    """A field that is there once: of a length the value is ``inner``, else it is still to be read."""
    if wire == LENGTH:
        if number == 5:
            return _body(record, inner[0])
        if number == 9:
            record.trace_id = inner[0]
        elif number == 10:
            record.span_id = inner[0]
        elif number == 3:
            record.severity_text = inner[0]
            return text_outcome(inner)
        elif number == 12:
            record.event_name = inner[0]
            return text_outcome(inner)
        else:
            return DECLINED
        return FINE
    if wire == FIXED64:
        if number == 1:
            return FINE if read_fixed64(message, &record.time) else DECLINED
        return FINE if number == 11 and read_fixed64(message, &record.observed) else DECLINED
    if wire == FIXED32:
        return FINE if number == 8 and read_fixed32(message, &record.flags) else DECLINED
    if number == 2:
        return FINE if read_varint(message, &record.severity) else DECLINED
    if number != 7 or not read_varint(message, &record.dropped):
        return DECLINED
    return FINE if record.dropped <= UINT32_MAX else ODD


cdef int _body(Record *record, Cursor value) noexcept:
    """A body that is a string, or empty; any other is ODD."""
    cdef uint32_t number
    cdef int wire
    if value.at == value.end:
        return FINE
    if not read_tag(&value, &number, &wire):
        return DECLINED
    if number != 1 or wire != LENGTH:
        return ODD
    if not read_inner(&value, &record.body):
        return DECLINED
    record.has_text = True
    if value.at != value.end:
        # Something comes after it, which may be the value that counts. Nothing is made of the text, which is not checked.
        record.has_text = False
        return ODD
    return text_outcome(&record.body)


cdef inline bint _is_id(const Cursor *raw, size_t size) noexcept:
    """Whether it is an id that means something, or none."""
    return left(raw) == 0 or (left(raw) == size and not is_zero(raw))


def scan(bytes body not None, tuple columns not None):
    """Add the rows of a request. ``columns`` are the lists of a LogBatch, from ``time_unix_nano`` on, in its order.

    Returns what stands around them, and the bytes of JSON made; None where the request is declined, and then the lists may have grown.
    """
    cdef _Scan scan = _Scan(columns)
    cdef Cursor message
    message.at = scan.base = <const uint8_t *>PyBytes_AS_STRING(body)
    message.end = message.at + PyBytes_GET_SIZE(body)
    scan.made = 0
    found = scan.request(message)
    return None if found is None else (found, scan.made)
