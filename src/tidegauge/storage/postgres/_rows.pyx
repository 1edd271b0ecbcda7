# cython: cdivision=True
"""Rows of spans and of what is known of their traces, as ``copy`` writes them; the same bytes.

A function here gives None for a batch that it does not take: ``copy`` then does it. All columns have been seen to be of one length before
any is read by row, and nothing runs meanwhile that could change them.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM
from cpython.unicode cimport PyUnicode_AsUTF8AndSize

from tidegauge._buffer cimport Buffer, buffer_close, buffer_open, put, put_byte, put_int16, put_int32, put_int64, reserve, taken

cdef int64_t EPOCH_US = 946684800000000
cdef enum:
    SPAN_FIELDS = 24
    TRACE_FIELDS = 11
    OID_INT4 = 23
    STATUS_ERROR = 2
    APPLICATIONS = 64  # of one request; one that has more is left to Python
    ORIGIN_BYTES = 32
    SPAN_BYTES = 160  # a row's fixed fields, without origin and with the lengths of the others
    TRACE_BYTES = 200  # without the root's name and the applications


cdef inline object _at(list column, Py_ssize_t row):
    """The value of a row that is there."""
    return <object>PyList_GET_ITEM(column, row)


cdef inline int _size(bytes data) except -1:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    if size >= 0x7FFFFFFF:
        raise OverflowError("a value of 2 GiB")
    return <int>size


cdef inline int _put_text(Buffer *out, str text) except -1:
    cdef Py_ssize_t size
    # Raises what str.encode does.
    cdef const char *data = PyUnicode_AsUTF8AndSize(text, &size)
    if size >= 0x7FFFFFFF:
        raise OverflowError("a value of 2 GiB")
    reserve(out, 4 + <size_t>size + SPAN_BYTES)
    put_int32(out, <int32_t>size)
    put(out, data, <size_t>size)
    return 0


cdef inline int _put_jsonb(Buffer *out, bytes json) except -1:
    """A jsonb, version 1, or NULL."""
    if json is None:
        put_int32(out, -1)
        return 0
    cdef int size = _size(json)
    reserve(out, 5 + <size_t>size + SPAN_BYTES)
    put_int32(out, size + 1)
    put_byte(out, 1)
    put(out, PyBytes_AS_STRING(json), <size_t>size)
    return 0


cdef inline int _put_bytea(Buffer *out, bytes data) except -1:
    """A bytea or NULL."""
    if data is None:
        put_int32(out, -1)
        return 0
    cdef int size = _size(data)
    reserve(out, 4 + <size_t>size + SPAN_BYTES)
    put_int32(out, size)
    put(out, PyBytes_AS_STRING(data), <size_t>size)
    return 0


cdef inline void _put_short(Buffer *out, int16_t value) noexcept:
    put_int32(out, 2)
    put_int16(out, value)


cdef inline void _put_int(Buffer *out, int32_t value) noexcept:
    put_int32(out, 4)
    put_int32(out, value)


cdef inline void _put_long(Buffer *out, int64_t value) noexcept:
    put_int32(out, 8)
    put_int64(out, value)


cdef inline void _put_id(Buffer *out, bytes data, size_t size) noexcept:
    """Of 8 or 16 bytes, which have been counted."""
    put_int32(out, <int32_t>size)
    put(out, PyBytes_AS_STRING(data), size)


cdef inline bint _is_id(bytes data, Py_ssize_t size) noexcept:
    return data is not None and PyBytes_GET_SIZE(data) == size


def spans(object batch, int16_t tenant_id, object resource_ids, object scope_ids, list rollup_names):
    """``copy.spans``; ``rollup_names`` are the names where none differs."""
    cdef list starts = batch.start_time_unix_nano, ends = batch.end_time_unix_nano, trace_ids = batch.trace_id, span_ids = batch.span_id
    cdef list parents = batch.parent_span_id, resources = batch.resource, scopes = batch.scope, kinds = batch.kind
    cdef list codes = batch.status_code, flags = batch.flags, names = batch.name, attributes = batch.attributes
    cdef list messages = batch.status_message, states = batch.trace_state, dropped_attributes = batch.dropped_attributes_count
    cdef list dropped_events = batch.dropped_events_count, dropped_links = batch.dropped_links_count
    cdef list events = batch.events, links = batch.links, originals = batch.original
    cdef Py_ssize_t row, count = len(trace_ids)
    cdef int64_t start, end, resource = -1, scope = -1, new_resource, new_scope
    cdef bytes trace_id, span_id, parent
    cdef str name, rollup_name
    cdef Buffer out, origin
    out.data = origin.data = NULL
    for column in (
        starts, ends, span_ids, parents, resources, scopes, kinds, codes, flags, names, attributes, messages, states, dropped_attributes,
        dropped_events, dropped_links, events, links, originals, rollup_names,
    ):
        if len(column) != count:
            raise ValueError("columns of different lengths")
    try:
        buffer_open(&out, <size_t>(count + 1) * 640)
        buffer_open(&origin, ORIGIN_BYTES)
        for row in range(count):
            new_resource, new_scope = _at(resources, row), _at(scopes, row)
            if new_resource < 0 or new_scope < 0:
                raise IndexError("a span's resource and scope are not in its batch")
            if new_resource != resource or new_scope != scope:
                resource, scope = new_resource, new_scope
                resource_id, application_id = resource_ids[resource]
                origin.used = 0
                put_int16(&origin, SPAN_FIELDS)
                _put_int(&origin, application_id)
                _put_int(&origin, resource_id)
                _put_int(&origin, scope_ids[scope])
                _put_short(&origin, tenant_id)
            trace_id, span_id, parent = _at(trace_ids, row), _at(span_ids, row), _at(parents, row)
            if not _is_id(trace_id, 16) or not _is_id(span_id, 8) or (parent is not None and not _is_id(parent, 8)):
                return None
            name, rollup_name = _at(names, row), _at(rollup_names, row)
            start, end = _at(starts, row), _at(ends, row)
            if start < 0 or end < 0:
                return None
            reserve(&out, SPAN_BYTES)
            put(&out, origin.data, ORIGIN_BYTES)
            _put_text(&out, rollup_name)
            _put_long(&out, start // 1000 - EPOCH_US)
            _put_long(&out, end - start)
            _put_short(&out, <int16_t>(start % 1000))
            _put_short(&out, _at(kinds, row))
            _put_short(&out, _at(codes, row))
            _put_long(&out, _at(flags, row))
            _put_id(&out, trace_id, 16)
            _put_id(&out, span_id, 8)
            if parent is None:
                put_int32(&out, -1)
            else:
                _put_id(&out, parent, 8)
            if _at(attributes, row) is None:
                raise TypeError("a span's attributes are None")
            _put_jsonb(&out, _at(attributes, row))
            _put_text(&out, _at(messages, row))
            _put_text(&out, _at(states, row))
            _put_long(&out, _at(dropped_attributes, row))
            _put_long(&out, _at(dropped_events, row))
            _put_long(&out, _at(dropped_links, row))
            _put_jsonb(&out, _at(events, row))
            _put_jsonb(&out, _at(links, row))
            if name is rollup_name or name == rollup_name:
                put_int32(&out, -1)
            else:
                _put_text(&out, name)
            _put_bytea(&out, _at(originals, row))
        return taken(&out, 0)
    finally:
        buffer_close(&out)
        buffer_close(&origin)


cdef struct Trace:
    int64_t start
    int64_t end
    uint64_t applications
    Py_ssize_t first
    Py_ssize_t root
    int32_t spans
    int32_t errors


def trace_index(object batch, int16_t tenant_id, object resource_ids):
    """``copy.trace_index``."""
    cdef list starts = batch.start_time_unix_nano, ends = batch.end_time_unix_nano, trace_ids = batch.trace_id, span_ids = batch.span_id
    cdef list parents = batch.parent_span_id, resources = batch.resource, codes = batch.status_code, names = batch.name
    cdef list ids = sorted({application for _, application in resource_ids})
    cdef dict bits = {application: bit for bit, application in enumerate(ids)}
    # Of each resource, its application's place among the ids.
    cdef list applications = [bits[application] for _, application in resource_ids]
    cdef Py_ssize_t row, count = len(trace_ids), known = 0, index = 0
    cdef dict seen = {}
    cdef object place, before = None
    cdef bytes trace_id
    cdef Buffer out
    cdef Trace *traces
    cdef Trace *trace = NULL
    for column in (starts, ends, span_ids, parents, resources, codes, names):
        if len(column) != count:
            raise ValueError("columns of different lengths")
    if len(ids) > APPLICATIONS:
        return None
    out.data = NULL
    traces = <Trace *>calloc(<size_t>count + 1, sizeof(Trace))
    if traces == NULL:
        raise MemoryError
    try:
        for row in range(count):
            trace_id = _at(trace_ids, row)
            if trace_id is not before or trace == NULL:
                if not _is_id(trace_id, 16):
                    return None
                place = seen.get(trace_id)
                if place is None:
                    index = known
                    known += 1
                    seen[trace_id] = index
                    trace = &traces[index]
                    trace.start = trace.end = _at(starts, row)
                    trace.first, trace.root = row, -1
                else:
                    index = place
                    trace = &traces[index]
                before = trace_id
            _add(trace, row, _at(starts, row), _at(ends, row), applications[_at(resources, row)], _at(parents, row) is None, _at(codes, row) == STATUS_ERROR)
        buffer_open(&out, <size_t>(known + 1) * 320)
        for index in range(known):
            trace = &traces[index]
            # None of its spans has a time below that, but its root may end before.
            if trace.start < 0 or (trace.root >= 0 and _at(ends, trace.root) < 0):
                return None
            reserve(&out, TRACE_BYTES)
            put_int16(&out, TRACE_FIELDS)
            _put_long(&out, trace.start // 1000 - EPOCH_US)
            _put_long(&out, trace.end // 1000 - EPOCH_US)
            _put_id(&out, _at(trace_ids, trace.first), 16)
            _put_short(&out, tenant_id)
            _put_int(&out, trace.spans)
            _put_int(&out, trace.errors)
            _put_applications(&out, ids, trace.applications)
            row = trace.root
            if row < 0:
                put_int64(&out, -1)
                put_int64(&out, -1)
                continue
            if not _is_id(_at(span_ids, row), 8):
                return None
            _put_id(&out, _at(span_ids, row), 8)
            _put_int(&out, resource_ids[_at(resources, row)][1])
            _put_long(&out, <int64_t>_at(ends, row) - <int64_t>_at(starts, row))
            _put_text(&out, _at(names, row))
        return taken(&out, 0)
    finally:
        buffer_close(&out)
        free(traces)


cdef inline void _add(Trace *trace, Py_ssize_t row, int64_t start, int64_t end, int bit, bint is_root, bint is_error) noexcept:
    """Add a span to its trace. One that never ended, or whose clock went back, must not make its trace end before it starts."""
    if start < trace.start:
        trace.start = start
    if start > trace.end:
        trace.end = start
    if end > trace.end:
        trace.end = end
    trace.spans += 1
    trace.errors += is_error
    trace.applications |= <uint64_t>1 << bit
    if is_root:
        trace.root = row


cdef int _put_applications(Buffer *out, list ids, uint64_t bits) except -1:
    """An int4[] of those that the bits tell (array_recv in PostgreSQL's arrayfuncs.c)."""
    cdef int count = 0, bit
    cdef uint64_t rest = bits
    while rest:
        rest &= rest - 1
        count += 1
    reserve(out, 24 + 8 * <size_t>count + TRACE_BYTES)
    put_int32(out, 20 + 8 * count)
    put_int32(out, 1)
    put_int32(out, 0)
    put_int32(out, OID_INT4)
    put_int32(out, count)
    put_int32(out, 1)
    for bit in range(APPLICATIONS):
        if bits >> bit & 1:
            _put_int(out, ids[bit])
    return 0
