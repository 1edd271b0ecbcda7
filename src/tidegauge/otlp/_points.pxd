"""Data points (opentelemetry/proto/metrics/v1/metrics.proto) from their bytes.

Everything here is inline: whoever cimports it needs nothing at run time. Only what is plain is taken from here; a point with anything
else is ODD. Attributes are not looked into: whoever uses them knows them, or has the part checked first.
"""

from libc.stdint cimport INT32_MAX, INT64_MAX, UINT32_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tidegauge.otlp._wire cimport (
    DECLINED, FINE, FIXED64, LENGTH, ODD, VARINT, Cursor, left, read_double, read_fixed64, read_inner, read_tag, read_varint, skip_value,
)


cdef enum Kind:
    """Fields of Metric that hold points."""
    GAUGE = 5
    SUM = 7
    HISTOGRAM = 9
    EXPONENTIAL = 10
    SUMMARY = 11


cdef enum Has:
    """What a point has, in bits."""
    VALUE = 1
    HAS_SUM = 2
    HAS_MIN = 4
    HAS_MAX = 8


cdef struct Buckets:
    bint is_sent
    int32_t offset
    # Packed varints.
    Cursor counts


cdef struct Point:
    # Its message.
    Cursor whole
    # The fields that hold attributes, which stand one after the other; NULL where there are none.
    Cursor attributes
    # Likewise its exemplars, of any point but a summary's.
    Cursor exemplars
    int outcome
    int has
    int32_t scale
    uint32_t flags
    uint64_t time
    uint64_t start
    uint64_t count
    uint64_t zero_count
    # Of a number.
    int64_t integer
    double value
    double sum
    double min
    double max
    double zero_threshold
    # Of a histogram packed fixed64 and packed doubles; of a summary the fields of its quantiles are the bounds.
    Cursor counts
    Cursor bounds
    Buckets positive
    Buckets negative


cdef inline uint32_t attributes_field(int kind) noexcept nogil:
    """The number of a point's attributes."""
    return 9 if kind == HISTOGRAM else 1 if kind == EXPONENTIAL else 7


cdef inline uint32_t exemplars_field(int kind) noexcept nogil:
    """The number of a point's exemplars, 0 for none."""
    return 8 if kind == HISTOGRAM else 11 if kind == EXPONENTIAL else 0 if kind == SUMMARY else 5


cdef inline int scan_point(int kind, bint is_cumulative, Point *point) noexcept nogil:
    """Read the point that is zero but for its ``whole``; its outcome, which it also has."""
    cdef Cursor rest = point.whole
    cdef const uint8_t *before
    cdef uint32_t number, attributes = attributes_field(kind), exemplars = exemplars_field(kind)
    cdef int wire
    cdef bint is_read
    while rest.at < rest.end:
        before = rest.at
        if not read_tag(&rest, &number, &wire):
            point.outcome = DECLINED
            return DECLINED
        if number == attributes and wire == LENGTH:
            is_read = _joined(&rest, before, &point.attributes, point)
        elif number == exemplars and wire == LENGTH:
            is_read = _joined(&rest, before, &point.exemplars, point)
        elif kind == HISTOGRAM:
            is_read = _histogram_field(&rest, number, wire, point)
        elif kind == EXPONENTIAL:
            is_read = _exponential_field(&rest, number, wire, point)
        elif kind == SUMMARY:
            is_read = _summary_field(&rest, before, number, wire, point)
        else:
            is_read = _number_field(&rest, number, wire, point)
        if not is_read:
            point.outcome = DECLINED
            return DECLINED
    # Where a start time means nothing it is not looked at.
    if not is_cumulative and kind != SUMMARY:
        point.start = 0
    if point.time == 0 or max(point.time, point.start) > <uint64_t>INT64_MAX or max(point.count, point.zero_count) > <uint64_t>INT64_MAX:
        point.outcome = ODD
    if kind == GAUGE or kind == SUM:
        _check_number(point)
    elif kind == HISTOGRAM:
        _check_histogram(point)
    return point.outcome


cdef inline bint _joined(Cursor *rest, const uint8_t *before, Cursor *fields, Point *point) noexcept nogil:
    """A field of those that stand one after the other; ``before`` it stands what is read already."""
    cdef Cursor inner
    if not read_inner(rest, &inner):
        return False
    if fields.at == NULL:
        fields.at = before
    elif fields.end != before:
        point.outcome = ODD
    fields.end = rest.at
    return True


cdef inline bint _other(Cursor *rest, int wire, Point *point) noexcept nogil:
    """A field that is not read here, or not in this form."""
    point.outcome = ODD
    return skip_value(rest, wire)


cdef inline bint _flags(Cursor *rest, Point *point) noexcept nogil:
    cdef uint64_t value
    if not read_varint(rest, &value):
        return False
    if value > <uint64_t>INT32_MAX:
        point.outcome = ODD
    else:
        point.flags = <uint32_t>value
    return True


cdef inline bint _number_field(Cursor *rest, uint32_t number, int wire, Point *point) noexcept nogil:
    cdef uint64_t bits
    if wire == FIXED64:
        if number == 3:
            return read_fixed64(rest, &point.time)
        if number == 2:
            return read_fixed64(rest, &point.start)
        # Of a oneof the last counts.
        if number == 4:
            point.has, point.integer = VALUE, 0
            return read_double(rest, &point.value)
        if number == 6:
            point.has, point.value = VALUE, 0
            if not read_fixed64(rest, &bits):
                return False
            point.integer = <int64_t>bits
            return True
    elif number == 8 and wire == VARINT:
        return _flags(rest, point)
    return _other(rest, wire, point)


cdef inline void _check_number(Point *point) noexcept nogil:
    """An integer that a float holds is one; a point without a value is plain only where its flags say that it has none."""
    if point.flags & 1:
        point.has = 0
    elif not point.has or not -(<int64_t>1 << 53) <= point.integer <= <int64_t>1 << 53:
        point.outcome = ODD
    elif point.integer:
        point.value = <double>point.integer


cdef inline bint _histogram_field(Cursor *rest, uint32_t number, int wire, Point *point) noexcept nogil:
    if wire == FIXED64:
        if number == 2:
            return read_fixed64(rest, &point.start)
        if number == 3:
            return read_fixed64(rest, &point.time)
        if number == 4:
            return read_fixed64(rest, &point.count)
        if number == 5:
            point.has |= HAS_SUM
            return read_double(rest, &point.sum)
        if number == 11:
            point.has |= HAS_MIN
            return read_double(rest, &point.min)
        if number == 12:
            point.has |= HAS_MAX
            return read_double(rest, &point.max)
    elif wire == LENGTH:
        if number == 6 and point.counts.at == NULL:
            return read_inner(rest, &point.counts)
        if number == 7 and point.bounds.at == NULL:
            return read_inner(rest, &point.bounds)
    elif number == 10 and wire == VARINT:
        return _flags(rest, point)
    return _other(rest, wire, point)


cdef inline void _check_histogram(Point *point) noexcept nogil:
    """Counts and bounds that fit each other; with what does not, others say why it is refused."""
    cdef Cursor counts = point.counts, bounds = point.bounds
    cdef size_t counted = left(&counts), bounded = left(&bounds)
    cdef uint64_t count = 0
    cdef double bound = 0, previous
    cdef bint is_first = True
    if counted % 8 or bounded % 8 or (counted != bounded + 8 and (counted or bounded)):
        point.outcome = ODD
        return
    while read_fixed64(&counts, &count):
        if count > <uint64_t>INT64_MAX:
            point.outcome = ODD
    while True:
        previous = bound
        if not read_double(&bounds, &bound):
            break
        # NaN is neither greater nor itself.
        if not (bound == bound if is_first else bound > previous):
            point.outcome = ODD
        is_first = False


cdef inline bint _exponential_field(Cursor *rest, uint32_t number, int wire, Point *point) noexcept nogil:
    if wire == FIXED64:
        if number == 2:
            return read_fixed64(rest, &point.start)
        if number == 3:
            return read_fixed64(rest, &point.time)
        if number == 4:
            return read_fixed64(rest, &point.count)
        if number == 5:
            point.has |= HAS_SUM
            return read_double(rest, &point.sum)
        if number == 7:
            return read_fixed64(rest, &point.zero_count)
        if number == 12:
            point.has |= HAS_MIN
            return read_double(rest, &point.min)
        if number == 13:
            point.has |= HAS_MAX
            return read_double(rest, &point.max)
        if number == 14:
            return read_double(rest, &point.zero_threshold)
    elif wire == VARINT:
        if number == 6:
            return _zigzag(rest, &point.scale, point)
        if number == 10:
            return _flags(rest, point)
    elif wire == LENGTH:
        if number == 8 and not point.positive.is_sent:
            return _buckets(rest, &point.positive, point)
        if number == 9 and not point.negative.is_sent:
            return _buckets(rest, &point.negative, point)
    return _other(rest, wire, point)


cdef inline bint _zigzag(Cursor *rest, int32_t *found, Point *point) noexcept nogil:
    """A sint32."""
    cdef uint64_t value
    cdef uint32_t folded
    if not read_varint(rest, &value):
        return False
    if value > <uint64_t>UINT32_MAX:
        point.outcome = ODD
    folded = <uint32_t>value
    found[0] = <int32_t>((folded >> 1) ^ (0 - (folded & 1)))
    return True


cdef inline bint _buckets(Cursor *rest, Buckets *buckets, Point *point) noexcept nogil:
    cdef Cursor inner, counts
    cdef uint32_t number
    cdef uint64_t count
    cdef int wire
    buckets.is_sent = True
    if not read_inner(rest, &inner):
        return False
    while inner.at < inner.end:
        if not read_tag(&inner, &number, &wire):
            return False
        if number == 1 and wire == VARINT:
            if not _zigzag(&inner, &buckets.offset, point):
                return False
        elif number == 2 and wire == LENGTH and buckets.counts.at == NULL:
            if not read_inner(&inner, &buckets.counts):
                return False
        elif not _other(&inner, wire, point):
            return False
    counts = buckets.counts
    while counts.at < counts.end:
        if not read_varint(&counts, &count):
            return False
        if count > <uint64_t>INT64_MAX:
            point.outcome = ODD
    return True


cdef inline bint _summary_field(Cursor *rest, const uint8_t *before, uint32_t number, int wire, Point *point) noexcept nogil:
    cdef Cursor ahead = rest[0], quantile
    if wire == FIXED64:
        if number == 2:
            return read_fixed64(rest, &point.start)
        if number == 3:
            return read_fixed64(rest, &point.time)
        if number == 4:
            return read_fixed64(rest, &point.count)
        if number == 5:
            return read_double(rest, &point.sum)
    elif number == 8 and wire == VARINT:
        return _flags(rest, point)
    elif number == 6 and wire == LENGTH:
        return _joined(rest, before, &point.bounds, point) and read_inner(&ahead, &quantile) and _is_quantile(quantile, point)
    return _other(rest, wire, point)


cdef inline bint _is_quantile(Cursor quantile, Point *point) noexcept nogil:
    """Whether it is a message; with anything but two numbers the point is ODD."""
    cdef uint32_t number
    cdef int wire
    while quantile.at < quantile.end:
        if not read_tag(&quantile, &number, &wire):
            return False
        if wire != FIXED64 or number not in (1, 2):
            point.outcome = ODD
        if not skip_value(&quantile, wire):
            return False
    return True
