"""What stands in a part of a metrics request: resources, scopes, metrics and points, as lists of structs.

Everything here is inline: whoever cimports it needs nothing at run time. Nothing is made of what is found: a request can be declined.
"""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from tidegauge.otlp._points cimport EXPONENTIAL, GAUGE, HISTOGRAM, SUM, SUMMARY, Point, scan_point
from tidegauge.otlp._wire cimport DECLINED, LENGTH, VARINT, Cursor, read_inner, read_tag, read_varint


cdef enum:
    # Resources, scopes, metrics and points that are read here, of each: a part that has more is left to Python.
    MOST = 1 << 14


cdef struct Around:
    # A resource or scope, its place in its list; of a scope the resource's; how many scopes or metrics it has.
    Cursor message
    Cursor url
    Py_ssize_t place
    Py_ssize_t outer
    Py_ssize_t items


cdef struct Metric:
    Cursor name
    Cursor unit
    Cursor description
    int kind
    uint64_t temporality
    bint is_monotonic
    bint has_metadata
    # Refused, or without data.
    bint is_odd
    Py_ssize_t scope
    # Its place among its scope's.
    Py_ssize_t place
    Py_ssize_t first
    Py_ssize_t points


cdef struct List:
    void *items
    Py_ssize_t count
    Py_ssize_t room


cdef struct Structure:
    List outer
    List inner
    List metrics
    List items


cdef inline void clear_structure(Structure *found) noexcept:
    """Before the next part: the memory is kept."""
    found.outer.count = found.inner.count = found.metrics.count = found.items.count = 0


cdef inline void free_structure(Structure *found) noexcept:
    PyMem_Free(found.outer.items)
    PyMem_Free(found.inner.items)
    PyMem_Free(found.metrics.items)
    PyMem_Free(found.items.items)


cdef inline void *_added(List *array, size_t size) except? NULL:
    """A new item of a list, all zero; NULL without an exception where there are too many."""
    cdef Py_ssize_t room
    cdef void *items
    cdef void *found
    if array.count == array.room:
        if array.room >= MOST:
            return NULL
        room = 2 * array.room if array.room else 64
        items = PyMem_Realloc(array.items, <size_t>room * size)
        if items == NULL:
            raise MemoryError
        array.items, array.room = items, room
    found = <uint8_t *>array.items + <size_t>array.count * size
    memset(found, 0, size)
    array.count += 1
    return found


cdef inline bint _once(Cursor *rest, Cursor *field) noexcept:
    """A field that may stand once: of one that stands twice the first counts as well, if only to be checked."""
    return field.at == NULL and read_inner(rest, field)


cdef inline bint scan_structure(Structure *found, Cursor rest) except -1:
    """Whether a part has a form that is read here."""
    cdef uint32_t number
    cdef int wire
    cdef Cursor inner
    while rest.at < rest.end:
        if not read_tag(&rest, &number, &wire) or number != 1 or wire != LENGTH or not read_inner(&rest, &inner):
            return False
        if not _scan_around(found, inner, &found.outer, 0, found.outer.count):
            return False
    return True


cdef inline bint _scan_around(Structure *found, Cursor rest, List *level, Py_ssize_t outer, Py_ssize_t place) except -1:
    """A ResourceMetrics or a ScopeMetrics: their fields have the same numbers."""
    cdef uint32_t number
    cdef int wire
    cdef Cursor inner, message = Cursor(NULL, NULL), url = Cursor(NULL, NULL)
    cdef Py_ssize_t index = level.count, items = 0
    cdef Around *around
    if _added(level, sizeof(Around)) == NULL:
        return False
    while rest.at < rest.end:
        if not read_tag(&rest, &number, &wire) or wire != LENGTH:
            return False
        if number == 2:
            if not read_inner(&rest, &inner):
                return False
            if level == &found.outer:
                if not _scan_around(found, inner, &found.inner, index, items):
                    return False
            elif not _scan_metric(found, inner, index, items):
                return False
            items += 1
        elif not _once(&rest, &message if number == 1 else &url) or number not in (1, 3):
            return False
    around = <Around *>level.items + index
    around.message, around.url, around.place, around.outer, around.items = message, url, place, outer, items
    return True


cdef inline bint _scan_metric(Structure *found, Cursor rest, Py_ssize_t scope, Py_ssize_t place) except -1:
    cdef uint32_t number
    cdef int wire
    cdef Cursor data = Cursor(NULL, NULL), ignored
    cdef bint is_read
    cdef Metric *metric = <Metric *>_added(&found.metrics, sizeof(Metric))
    if metric == NULL:
        return False
    metric.scope, metric.place = scope, place
    while rest.at < rest.end:
        if not read_tag(&rest, &number, &wire) or wire != LENGTH:
            return False
        if number == 1:
            is_read = _once(&rest, &metric.name)
        elif number == 2:
            is_read = _once(&rest, &metric.description)
        elif number == 3:
            is_read = _once(&rest, &metric.unit)
        elif number == 12:
            metric.has_metadata = True
            is_read = read_inner(&rest, &ignored)
        elif number == GAUGE or number == SUM or number == HISTOGRAM or number == EXPONENTIAL or number == SUMMARY:
            metric.kind = <int>number
            is_read = _once(&rest, &data)
        else:
            return False
        if not is_read:
            return False
    metric.first = found.items.count
    return _scan_data(found, data, metric)


cdef inline bint _scan_data(Structure *found, Cursor rest, Metric *metric) except -1:
    """What Gauge, Sum and others hold: points (1), aggregation_temporality (2) and is_monotonic (3)."""
    cdef uint32_t number
    cdef int wire, kind = metric.kind
    cdef uint64_t value
    cdef Point *point
    while rest.at < rest.end:
        if not read_tag(&rest, &number, &wire):
            return False
        if number == 1 and wire == LENGTH:
            point = <Point *>_added(&found.items, sizeof(Point))
            if point == NULL or not read_inner(&rest, &point.whole):
                return False
        elif number == 2 and wire == VARINT and kind not in (GAUGE, SUMMARY):
            # Of an enum 32 bits count.
            if not read_varint(&rest, &metric.temporality) or metric.temporality > 2:
                return False
        elif number == 3 and wire == VARINT and kind == SUM:
            if not read_varint(&rest, &value):
                return False
            metric.is_monotonic = value != 0
        else:
            return False
    metric.points = found.items.count - metric.first
    return _scan_points(found, metric)


cdef inline bint _scan_points(Structure *found, Metric *metric) noexcept:
    """Once it is known whether their start times mean anything."""
    cdef Py_ssize_t place
    cdef bint is_cumulative = metric.temporality == 2
    for place in range(metric.first, metric.first + metric.points):
        if scan_point(metric.kind, is_cumulative, <Point *>found.items.items + place) == DECLINED:
            return False
    return True
