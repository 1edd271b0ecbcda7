# cython: language_level=3, wraparound=False
"""Rows of COPY for points and log records: byte for byte what ``copy.py`` makes of the same columns, which says what they are.

Lists are read with their bounds checked. A buffer is as large as the largest row of its table times the rows, or grown before each row by
what that row can take.
"""

from cpython.ref cimport PyObject, Py_XDECREF
from libc.stdint cimport INT32_MAX, int16_t, int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tidegauge.storage.postgres.copy_values import EPOCH_US

cdef extern from "Python.h":
    PyObject* PyBytes_FromStringAndSize(const char* data, Py_ssize_t size) except NULL
    # On failure it releases the object and leaves NULL in its place.
    int _PyBytes_Resize(PyObject** object, Py_ssize_t size) except -1
    char* PyBytes_AS_STRING(PyObject* object)
    bint PyUnicode_IS_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PY_SSIZE_T_MAX

cdef int64_t EPOCH = EPOCH_US
cdef Py_ssize_t MOST = PY_SSIZE_T_MAX // 4
cdef enum:
    OID_INT8 = 20
    NUMBER_FIELDS = 6
    NUMBER_BYTES = 2 + 5 * 12 + 8
    HISTOGRAM_FIELDS = 15
    # Without the elements of its two arrays: seven numbers of 8 bytes, four of 4, five head fields of each array.
    HISTOGRAM_BYTES = 2 + 8 * 12 + 4 * 8 + 2 * 24
    LOG_FIELDS = 21
    # Without texts, JSON and the message.
    LOG_BYTES = 256


cdef struct Out:
    # A bytes object under way, of which ``used`` bytes are written.
    PyObject* bytes
    char* data
    Py_ssize_t used
    Py_ssize_t size


cdef int _room(Out* out, Py_ssize_t more) except -1:
    """Make room for so many bytes more."""
    cdef Py_ssize_t size
    if more <= out.size - out.used:
        return 0
    if more > MOST or out.size > MOST:
        raise MemoryError
    size = out.size + (out.size >> 1) + more
    if out.bytes is NULL:
        out.bytes = PyBytes_FromStringAndSize(NULL, size)
    else:
        _PyBytes_Resize(&out.bytes, size)
    out.data, out.size = PyBytes_AS_STRING(out.bytes), size
    return 0


cdef bytes _taken(Out* out):
    """What was written."""
    if out.bytes is NULL:
        return b""
    _PyBytes_Resize(&out.bytes, out.used)
    return <bytes> out.bytes


cdef inline void _put16(Out* out, uint16_t value) noexcept:
    cdef unsigned char* at = <unsigned char*> out.data + out.used
    at[0], at[1] = <unsigned char> (value >> 8), <unsigned char> value
    out.used += 2


cdef inline void _put32(Out* out, uint32_t value) noexcept:
    cdef unsigned char* at = <unsigned char*> out.data + out.used
    at[0], at[1], at[2], at[3] = (
        <unsigned char> (value >> 24), <unsigned char> (value >> 16), <unsigned char> (value >> 8), <unsigned char> value,
    )
    out.used += 4


cdef inline void _put64(Out* out, uint64_t value) noexcept:
    _put32(out, <uint32_t> (value >> 32))
    _put32(out, <uint32_t> value)


cdef inline void _null(Out* out) noexcept:
    _put32(out, 0xFFFFFFFF)


cdef inline void _int2(Out* out, int16_t value) noexcept:
    _put32(out, 2)
    _put16(out, <uint16_t> value)


cdef inline void _int4(Out* out, int32_t value) noexcept:
    _put32(out, 4)
    _put32(out, <uint32_t> value)


cdef inline void _int8(Out* out, int64_t value) noexcept:
    _put32(out, 8)
    _put64(out, <uint64_t> value)


cdef inline void _float8(Out* out, double value) noexcept:
    cdef uint64_t bits
    memcpy(&bits, &value, 8)
    _put32(out, 8)
    _put64(out, bits)


cdef inline int64_t _us(int64_t nanoseconds) noexcept:
    # Rounded down, as in Python.
    return nanoseconds // 1000 - EPOCH


cdef inline void _raw(Out* out, const char* data, Py_ssize_t size) noexcept:
    memcpy(out.data + out.used, data, size)
    out.used += size


cdef inline int _optional_time(Out* out, value) except -1:
    if value is None:
        _null(out)
    else:
        _int8(out, _us(<int64_t> value))
    return 0


cdef inline int _optional_float(Out* out, value) except -1:
    if value is None:
        _null(out)
    else:
        _float8(out, <double> value)
    return 0


cdef inline int _optional_int8(Out* out, value) except -1:
    if value is None:
        _null(out)
    else:
        _int8(out, <int64_t> value)
    return 0


cdef inline int _optional_int4(Out* out, value) except -1:
    if value is None:
        _null(out)
    else:
        _int4(out, <int32_t> value)
    return 0


cdef int _counts(Out* out, tuple values) except -1:
    """A bigint[] or NULL; makes room for itself and for the rest of a row."""
    cdef Py_ssize_t size
    if values is None:
        _null(out)
        return 0
    size = len(values)
    if size > (INT32_MAX - 20) // 12:
        raise OverflowError("an array of more than 2 GiB")
    _room(out, 12 * size + HISTOGRAM_BYTES)
    if not size:
        _put32(out, 12)
        _put32(out, 0)
        _put32(out, 0)
        _put32(out, OID_INT8)
        return 0
    _put32(out, <uint32_t> (20 + 12 * size))
    _put32(out, 1)
    _put32(out, 0)
    _put32(out, OID_INT8)
    _put32(out, <uint32_t> size)
    _put32(out, 1)
    for value in values:
        _int8(out, <int64_t> value)
    return 0


cdef list _listed(values):
    return values if type(values) is list else list(values)


cdef int _check_lengths(Py_ssize_t rows, tuple columns) except -1:
    for column in columns:
        if len(<list?> column) != rows:
            raise ValueError("columns of a batch have different lengths")
    return 0


def numbers(columns, series_ids):
    """Rows of ``tidegauge.metrics``."""
    cdef list series = columns.series, times = columns.time_unix_nano, starts = columns.start_time_unix_nano
    cdef list values = columns.value, integers = columns.value_int, flags = columns.flags, ids = _listed(series_ids)
    cdef Py_ssize_t row, rows = len(series)
    cdef int64_t time, series_id
    cdef uint32_t flag
    cdef Out out = Out(NULL, NULL, 0, 0)
    _check_lengths(rows, (times, starts, values, integers, flags))
    try:
        _room(&out, rows * NUMBER_BYTES)
        for row in range(rows):
            time, series_id, flag = times[row], ids[<Py_ssize_t> series[row]], flags[row]
            _put16(&out, NUMBER_FIELDS)
            _int8(&out, _us(time))
            _int8(&out, series_id)
            _optional_time(&out, starts[row])
            _optional_float(&out, values[row])
            _optional_int8(&out, integers[row])
            _int4(&out, <int32_t> flag)
        return _taken(&out)
    finally:
        Py_XDECREF(out.bytes)


def histograms(columns, series_ids):
    """Rows of ``tidegauge.metric_histograms``."""
    cdef list series = columns.series, times = columns.time_unix_nano, starts = columns.start_time_unix_nano, counts = columns.count
    cdef list sums = columns.sum, least = columns.min, most = columns.max, buckets = columns.bucket_counts, flags = columns.flags
    cdef list scales = columns.scale, zeros = columns.zero_count, thresholds = columns.zero_threshold
    cdef list positives = columns.positive_offset, negatives = columns.negative_offset, below = columns.negative_bucket_counts
    cdef list ids = _listed(series_ids)
    cdef Py_ssize_t row, rows = len(series)
    cdef int64_t time, series_id, count
    cdef uint32_t flag
    cdef Out out = Out(NULL, NULL, 0, 0)
    _check_lengths(
        rows, (times, starts, counts, sums, least, most, buckets, flags, scales, zeros, thresholds, positives, negatives, below)
    )
    try:
        for row in range(rows):
            time, series_id, count, flag = times[row], ids[<Py_ssize_t> series[row]], counts[row], flags[row]
            _room(&out, HISTOGRAM_BYTES)
            _put16(&out, HISTOGRAM_FIELDS)
            _int8(&out, _us(time))
            _int8(&out, series_id)
            _optional_time(&out, starts[row])
            _int8(&out, count)
            _optional_float(&out, sums[row])
            _optional_float(&out, least[row])
            _optional_float(&out, most[row])
            _counts(&out, buckets[row])
            _int4(&out, <int32_t> flag)
            _optional_int4(&out, scales[row])
            _optional_int8(&out, zeros[row])
            _optional_float(&out, thresholds[row])
            _optional_int4(&out, positives[row])
            _optional_int4(&out, negatives[row])
            _counts(&out, below[row])
        return _taken(&out)
    finally:
        Py_XDECREF(out.bytes)


cdef int _text(Out* out, str value) except -1:
    """A text with its length, or NULL; makes room for itself and for the rest of a row."""
    cdef Py_ssize_t size
    cdef const char* data
    cdef bytes encoded
    if value is None:
        _null(out)
        return 0
    if PyUnicode_IS_ASCII(value):
        size, data = PyUnicode_GET_LENGTH(value), <const char*> PyUnicode_DATA(value)
    else:
        encoded = value.encode()
        size, data = len(encoded), <const char*> encoded
    if size > INT32_MAX:
        raise OverflowError("a text of more than 2 GiB")
    _room(out, size + LOG_BYTES)
    _put32(out, <uint32_t> size)
    _raw(out, data, size)
    return 0


cdef int _bytea(Out* out, bytes value) except -1:
    """A bytea with its length, or NULL; makes room likewise."""
    cdef Py_ssize_t size
    if value is None:
        _null(out)
        return 0
    size = len(value)
    if size > INT32_MAX:
        raise OverflowError("a value of more than 2 GiB")
    _room(out, size + LOG_BYTES)
    _put32(out, <uint32_t> size)
    _raw(out, <const char*> value, size)
    return 0


cdef int _jsonb(Out* out, bytes value) except -1:
    """A jsonb with its length; makes room likewise. Raises TypeError for None."""
    cdef Py_ssize_t size = len(value) + 1
    if size > INT32_MAX:
        raise OverflowError("a value of more than 2 GiB")
    _room(out, size + LOG_BYTES)
    _put32(out, <uint32_t> size)
    out.data[out.used] = 1
    out.used += 1
    _raw(out, <const char*> value, size - 1)
    return 0


def logs(batch, tenant_id, resource_ids, scope_ids, digest, received_at_unix_nano):
    """Rows of ``tidegauge.logs``; a record without any time gets the moment its request was received."""
    cdef list times = batch.time_unix_nano, observed_times = batch.observed_time_unix_nano, trace_ids = batch.trace_id
    cdef list span_ids = batch.span_id, flags = batch.flags, dropped = batch.dropped_attributes_count, ordinals = batch.ordinal
    cdef list resources = batch.resource, scopes = batch.scope, severities = batch.severity_number, texts = batch.severity_text
    cdef list names = batch.event_name, bodies = batch.body, attributes = batch.attributes, originals = batch.original
    cdef Py_ssize_t row, rows = len(times), resource = -1, scope = -1, wanted = 0
    cdef bytes key = digest.bytes
    cdef int64_t time, observed, effective, received = received_at_unix_nano, flag, lost
    cdef int16_t tenant = tenant_id, severity
    cdef int32_t application_id = 0, resource_id = 0, scope_id = 0, ordinal
    cdef Out out = Out(NULL, NULL, 0, 0)
    if len(key) != 16:
        raise ValueError("a digest has 16 bytes")
    _check_lengths(
        rows,
        (
            observed_times, trace_ids, span_ids, flags, dropped, ordinals, resources, scopes, severities, texts, names, bodies, attributes,
            originals,
        ),
    )
    try:
        for row in range(rows):
            wanted += len(<bytes?> attributes[row]) + 170
            if bodies[row] is not None:
                wanted += len(<str?> bodies[row])
        _room(&out, wanted + LOG_BYTES)
        for row in range(rows):
            if resource != <Py_ssize_t> resources[row] or scope != <Py_ssize_t> scopes[row]:
                resource, scope = resources[row], scopes[row]
                resource_id, application_id = resource_ids[resource]
                scope_id = scope_ids[scope]
            time, observed, flag, lost, ordinal, severity = (
                times[row], observed_times[row], flags[row], dropped[row], ordinals[row], severities[row],
            )
            effective = time or observed or received
            _room(&out, LOG_BYTES)
            _put16(&out, LOG_FIELDS)
            _int4(&out, application_id)
            _int4(&out, resource_id)
            _int4(&out, scope_id)
            _int2(&out, tenant)
            _put32(&out, 16)
            _raw(&out, <const char*> key, 16)
            _int8(&out, _us(effective))
            _int2(&out, <int16_t> (effective % 1000))
            if observed:
                _int8(&out, _us(observed))
            else:
                _null(&out)
            _int2(&out, <int16_t> (observed % 1000))
            _int2(&out, 0 if time else 1 if observed else 2)
            _int4(&out, ordinal)
            _int8(&out, flag)
            _int8(&out, lost)
            _int2(&out, severity)
            _bytea(&out, trace_ids[row])
            _bytea(&out, span_ids[row])
            _text(&out, texts[row])
            _text(&out, names[row])
            _text(&out, bodies[row])
            _jsonb(&out, attributes[row])
            _bytea(&out, originals[row])
        return _taken(&out)
    finally:
        Py_XDECREF(out.bytes)
