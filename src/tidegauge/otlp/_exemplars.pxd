"""Exemplars (opentelemetry/proto/metrics/v1/metrics.proto) from their bytes, as ``points`` reads them.

Everything here is inline: whoever cimports it needs nothing at run time.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from cpython.bytes cimport PyBytes_FromStringAndSize

from tidegauge._buffer cimport Buffer
from tidegauge.otlp._json cimport Attributes, attributes_add, attributes_begin, attributes_end
from tidegauge.otlp._wire cimport (
    DECLINED, FINE, FIXED64, LENGTH, ODD, Cursor, is_zero, left, read_double, read_fixed64, read_inner, read_tag, skip_value,
)


cdef struct Exemplar:
    Cursor trace_id, span_id
    uint64_t time
    int64_t integer
    double value
    uint32_t seen
    bint has_value
    bint has_attributes


cdef inline list exemplars_of(Cursor fields, Buffer *out, object dumps):
    """Rows without a series and without ``original``; None where one is not plain. ``fields`` were seen to be fields with a length."""
    cdef uint32_t number
    cdef int wire
    cdef Cursor inner
    cdef list found = []
    while fields.at < fields.end:
        if not read_tag(&fields, &number, &wire) or not read_inner(&fields, &inner):
            return None
        row = _exemplar(inner, out, dumps)
        if row is None:
            return None
        found.append(row)
    return found


cdef inline tuple _exemplar(Cursor rest, Buffer *out, object dumps):
    """(time_unix_nano, value, trace_id, span_id, filtered_attributes)"""
    cdef Exemplar exemplar
    cdef Attributes attributes
    cdef int outcome
    exemplar.trace_id = exemplar.span_id = Cursor(rest.at, rest.at)
    exemplar.time = exemplar.integer = exemplar.seen = 0
    exemplar.value = 0
    exemplar.has_value = exemplar.has_attributes = False
    attributes_begin(&attributes, out)
    outcome = _exemplar_fields(&exemplar, &attributes, rest, dumps)
    made = attributes_end(&attributes)
    if (
        outcome != FINE
        or made is None
        or not 0 < exemplar.time <= <uint64_t>INT64_MAX
        or not -(<int64_t>1 << 53) <= exemplar.integer <= <int64_t>1 << 53
        or not _is_id(&exemplar.trace_id, 16)
        or not _is_id(&exemplar.span_id, 8)
    ):
        return None
    if exemplar.integer:
        exemplar.value = <double>exemplar.integer
    return (
        exemplar.time,
        exemplar.value if exemplar.has_value else None,
        _id(&exemplar.trace_id),
        _id(&exemplar.span_id),
        made if exemplar.has_attributes else None,
    )


cdef inline int _exemplar_fields(Exemplar *exemplar, Attributes *attributes, Cursor rest, object dumps) except -1:
    cdef uint32_t number
    cdef uint64_t bits
    cdef int wire
    cdef Cursor inner
    while rest.at < rest.end:
        if not read_tag(&rest, &number, &wire):
            return DECLINED
        if number == 7 and wire == LENGTH:
            if not read_inner(&rest, &inner):
                return DECLINED
            exemplar.has_attributes = True
            if attributes_add(attributes, inner, dumps):
                return ODD
        elif number == 2 and wire == FIXED64:
            if not read_fixed64(&rest, &exemplar.time):
                return DECLINED
        elif number == 3 and wire == FIXED64:
            # Of a oneof the last counts.
            exemplar.has_value, exemplar.integer = True, 0
            if not read_double(&rest, &exemplar.value):
                return DECLINED
        elif number == 6 and wire == FIXED64:
            exemplar.has_value, exemplar.value = True, 0
            if not read_fixed64(&rest, &bits):
                return DECLINED
            exemplar.integer = <int64_t>bits
        elif number == 5 and wire == LENGTH:
            if not read_inner(&rest, &exemplar.trace_id):
                return DECLINED
        elif number == 4 and wire == LENGTH:
            if not read_inner(&rest, &exemplar.span_id):
                return DECLINED
        else:
            return ODD
    return FINE


cdef inline bint _is_id(const Cursor *raw, size_t size) noexcept nogil:
    """Whether it is an id that means something, or none."""
    return left(raw) == 0 or (left(raw) == size and not is_zero(raw))


cdef inline bytes _id(const Cursor *raw):
    return PyBytes_FromStringAndSize(<const char *>raw.at, <Py_ssize_t>left(raw)) if left(raw) else None
