# cython: language_level=3, wraparound=False
"""Rows of COPY for points and log records: byte for byte what ``copy.py`` makes of the same columns, which says what they are.

Lists are read with their bounds checked. A buffer is as large as the largest row of its table times the rows, or grown before each row by
what that row can take.
"""

from libc.stdint cimport INT32_MAX, int16_t, int32_t, int64_t, uint32_t

from tidegauge._buffer cimport (
    Buffer, buffer_close, buffer_open, put, put_byte, put_float64, put_int16, put_int32, put_int64, reserve, taken,
)

from tidegauge.storage.postgres.copy_values import EPOCH_US

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    void *PyUnicode_DATA(object text)

cdef int64_t EPOCH = EPOCH_US
cdef enum:
    OID_INT8 = 20
    NUMBER_FIELDS = 6
    NUMBER_BYTES = 2 + 5 * 12 + 8
    HISTOGRAM_FIELDS = 15
    # Without the elements of its two arrays: seven numbers of 8 bytes, four of 4, six of the head of each array.
    HISTOGRAM_BYTES = 2 + 8 * 12 + 4 * 8 + 2 * 24
    LOG_FIELDS = 21
    # Without texts, JSON and the message.
    LOG_BYTES = 256


cdef inline void _null(Buffer *out) noexcept:
    put_int32(out, -1)


cdef inline void _int2(Buffer *out, int16_t value) noexcept:
    put_int32(out, 2)
    put_int16(out, value)


cdef inline void _int4(Buffer *out, int32_t value) noexcept:
    put_int32(out, 4)
    put_int32(out, value)


cdef inline void _int8(Buffer *out, int64_t value) noexcept:
    put_int32(out, 8)
    put_int64(out, value)


cdef inline void _float8(Buffer *out, double value) noexcept:
    put_int32(out, 8)
    put_float64(out, value)


cdef inline int64_t _us(int64_t nanoseconds) noexcept:
    # Rounded down, as in Python.
    return nanoseconds // 1000 - EPOCH


cdef inline int _optional_time(Buffer *out, value) except -1:
    if value is None:
        _null(out)
    else:
        _int8(out, _us(<int64_t>value))
    return 0


cdef inline int _optional_float(Buffer *out, value) except -1:
    if value is None:
        _null(out)
    else:
        _float8(out, <double>value)
    return 0


cdef inline int _optional_int8(Buffer *out, value) except -1:
    if value is None:
        _null(out)
    else:
        _int8(out, <int64_t>value)
    return 0


cdef inline int _optional_int4(Buffer *out, value) except -1:
    if value is None:
        _null(out)
    else:
        _int4(out, <int32_t>value)
    return 0


cdef int _counts(Buffer *out, tuple values) except -1:
    """A bigint[] or NULL; makes room for itself and for the rest of a row."""
    cdef Py_ssize_t size
    if values is None:
        _null(out)
        return 0
    size = len(values)
    if size > (INT32_MAX - 20) // 12:
        raise OverflowError("an array of more than 2 GiB")
    reserve(out, 12 * <size_t>size + HISTOGRAM_BYTES)
    if not size:
        put_int32(out, 12)
        put_int32(out, 0)
        put_int32(out, 0)
        put_int32(out, OID_INT8)
        return 0
    put_int32(out, <int32_t>(20 + 12 * size))
    put_int32(out, 1)
    put_int32(out, 0)
    put_int32(out, OID_INT8)
    put_int32(out, <int32_t>size)
    put_int32(out, 1)
    for value in values:
        _int8(out, <int64_t>value)
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
    cdef Buffer out
    _check_lengths(rows, (times, starts, values, integers, flags))
    buffer_open(&out, <size_t>rows * NUMBER_BYTES)
    try:
        for row in range(rows):
            time, series_id, flag = times[row], ids[<Py_ssize_t>series[row]], flags[row]
            put_int16(&out, NUMBER_FIELDS)
            _int8(&out, _us(time))
            _int8(&out, series_id)
            _optional_time(&out, starts[row])
            _optional_float(&out, values[row])
            _optional_int8(&out, integers[row])
            _int4(&out, <int32_t>flag)
        return taken(&out, 0)
    finally:
        buffer_close(&out)


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
    cdef Buffer out
    _check_lengths(
        rows, (times, starts, counts, sums, least, most, buckets, flags, scales, zeros, thresholds, positives, negatives, below)
    )
    buffer_open(&out, 4096)
    try:
        for row in range(rows):
            time, series_id, count, flag = times[row], ids[<Py_ssize_t>series[row]], counts[row], flags[row]
            reserve(&out, HISTOGRAM_BYTES)
            put_int16(&out, HISTOGRAM_FIELDS)
            _int8(&out, _us(time))
            _int8(&out, series_id)
            _optional_time(&out, starts[row])
            _int8(&out, count)
            _optional_float(&out, sums[row])
            _optional_float(&out, least[row])
            _optional_float(&out, most[row])
            _counts(&out, buckets[row])
            _int4(&out, <int32_t>flag)
            _optional_int4(&out, scales[row])
            _optional_int8(&out, zeros[row])
            _optional_float(&out, thresholds[row])
            _optional_int4(&out, positives[row])
            _optional_int4(&out, negatives[row])
            _counts(&out, below[row])
        return taken(&out, 0)
    finally:
        buffer_close(&out)


cdef int _text(Buffer *out, str value) except -1:
    """A text with its length; makes room for itself and for the rest of a row. Raises TypeError for None."""
    cdef Py_ssize_t size
    cdef const char *data
    cdef bytes encoded
    if value is None:
        raise TypeError("a text is None")
    if PyUnicode_IS_ASCII(value):
        size, data = PyUnicode_GET_LENGTH(value), <const char *>PyUnicode_DATA(value)
    else:
        encoded = value.encode()
        size, data = len(encoded), <const char *>encoded
    if size > INT32_MAX:
        raise OverflowError("a text of more than 2 GiB")
    reserve(out, <size_t>size + LOG_BYTES)
    put_int32(out, <int32_t>size)
    put(out, data, size)
    return 0


cdef int _bytea(Buffer *out, bytes value) except -1:
    """A bytea with its length, or NULL; makes room likewise."""
    cdef Py_ssize_t size
    if value is None:
        _null(out)
        return 0
    size = len(value)
    if size > INT32_MAX:
        raise OverflowError("a value of more than 2 GiB")
    reserve(out, <size_t>size + LOG_BYTES)
    put_int32(out, <int32_t>size)
    put(out, <const char *>value, size)
    return 0


cdef int _jsonb(Buffer *out, bytes value) except -1:
    """A jsonb with its length; makes room likewise. Raises TypeError for None."""
    cdef Py_ssize_t size = len(value) + 1
    if size > INT32_MAX:
        raise OverflowError("a value of more than 2 GiB")
    reserve(out, <size_t>size + LOG_BYTES)
    put_int32(out, <int32_t>size)
    put_byte(out, 1)
    put(out, <const char *>value, size - 1)
    return 0


def logs(batch, tenant_id, resource_ids, scope_ids, digest, received_at_unix_nano):
    """Rows of ``tidegauge.logs``; a record without any time gets the moment its request was received."""
    cdef list times = batch.time_unix_nano, observed_times = batch.observed_time_unix_nano, trace_ids = batch.trace_id
    cdef list span_ids = batch.span_id, flags = batch.flags, dropped = batch.dropped_attributes_count, ordinals = batch.ordinal
    cdef list resources = batch.resource, scopes = batch.scope, severities = batch.severity_number, texts = batch.severity_text
    cdef list names = batch.event_name, bodies = batch.body, attributes = batch.attributes, originals = batch.original
    cdef Py_ssize_t row, rows = len(times), resource = -1, scope = -1
    cdef size_t wanted = 0
    cdef bytes key = digest.bytes
    cdef int64_t time, observed, effective, received = received_at_unix_nano, flag, lost
    cdef int16_t tenant = tenant_id, severity
    cdef int32_t application_id = 0, resource_id = 0, scope_id = 0, ordinal
    cdef Buffer out
    if len(key) != 16:
        raise ValueError("a digest has 16 bytes")
    _check_lengths(
        rows,
        (
            observed_times, trace_ids, span_ids, flags, dropped, ordinals, resources, scopes, severities, texts, names, bodies, attributes,
            originals,
        ),
    )
    for row in range(rows):
        wanted += <size_t>len(<bytes?>attributes[row]) + 170
        if bodies[row] is not None:
            wanted += <size_t>len(<str?>bodies[row])
    buffer_open(&out, wanted + LOG_BYTES)
    try:
        for row in range(rows):
            if row == 0 or resource != <Py_ssize_t>resources[row] or scope != <Py_ssize_t>scopes[row]:
                resource, scope = resources[row], scopes[row]
                if resource < 0 or scope < 0:
                    raise IndexError("a record's resource and scope are not in its batch")
                resource_id, application_id = resource_ids[resource]
                scope_id = scope_ids[scope]
            time, observed, flag, lost, ordinal, severity = (
                times[row], observed_times[row], flags[row], dropped[row], ordinals[row], severities[row],
            )
            effective = time or observed or received
            reserve(&out, LOG_BYTES)
            put_int16(&out, LOG_FIELDS)
            _int4(&out, application_id)
            _int4(&out, resource_id)
            _int4(&out, scope_id)
            _int2(&out, tenant)
            put_int32(&out, 16)
            put(&out, <const char *>key, 16)
            _int8(&out, _us(effective))
            _int2(&out, <int16_t>(effective % 1000))
            if observed:
                _int8(&out, _us(observed))
            else:
                _null(&out)
            _int2(&out, <int16_t>(observed % 1000))
            _int2(&out, 0 if time else 1 if observed else 2)
            _int4(&out, ordinal)
            _int8(&out, flag)
            _int8(&out, lost)
            _int2(&out, severity)
            _bytea(&out, trace_ids[row])
            _bytea(&out, span_ids[row])
            _text(&out, texts[row])
            _text(&out, names[row])
            if bodies[row] is None:
                _null(&out)
            else:
                _text(&out, bodies[row])
            _jsonb(&out, attributes[row])
            _bytea(&out, originals[row])
        return taken(&out, 0)
    finally:
        buffer_close(&out)
