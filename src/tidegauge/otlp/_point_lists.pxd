"""What is made of a data point that was scanned (``_points.pxd``) and has lists: its attributes, counts and quantiles.

Everything here is inline: whoever cimports it needs nothing at run time.
"""

from libc.stdint cimport uint32_t, uint64_t
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM

from tidegauge.otlp._objects cimport bytes_of
from tidegauge.otlp._points cimport Point, attributes_field
from tidegauge.otlp._wire cimport LENGTH, Cursor, left, read_double, read_fixed64, read_inner, read_tag, read_varint, skip_value


cdef inline list attributes_of(int kind, const Point *point):
    """The attributes of any point, each as it was sent."""
    cdef Cursor rest = point.whole, inner
    cdef uint32_t number, attributes = attributes_field(kind)
    cdef int wire
    cdef list found = []
    while rest.at < rest.end and read_tag(&rest, &number, &wire):
        if number == attributes and wire == LENGTH:
            if not read_inner(&rest, &inner):
                break
            found.append(bytes_of(&inner))
        elif not skip_value(&rest, wire):
            break
    return found


cdef inline int _set(tuple items, Py_ssize_t place, object value) except -1:
    """Fill a place of a new tuple."""
    Py_INCREF(value)
    PyTuple_SET_ITEM(items, place, value)
    return 0


cdef inline tuple fixed_counts(Cursor counts):
    """Packed fixed64; None for none."""
    cdef uint64_t count = 0
    cdef Py_ssize_t place, size = <Py_ssize_t>(left(&counts) // 8)
    if not size:
        return None
    cdef tuple found = PyTuple_New(size)
    for place in range(size):
        read_fixed64(&counts, &count)
        _set(found, place, count)
    return found


cdef inline tuple varint_counts(Cursor counts):
    """Packed varints; None for none."""
    cdef uint64_t count = 0
    cdef Py_ssize_t place, size = 0
    cdef Cursor rest = counts
    while rest.at < rest.end:
        size += rest.at[0] < 128
        rest.at += 1
    if not size:
        return None
    cdef tuple found = PyTuple_New(size)
    for place in range(size):
        read_varint(&counts, &count)
        _set(found, place, count)
    return found


cdef inline tuple quantiles_of(const Point *point):
    """Quantiles and their values, a tuple each."""
    cdef Cursor rest = point.bounds, inner
    cdef double quantile, value, number
    cdef uint32_t field
    cdef int wire
    cdef list quantiles = [], values = []
    while rest.at < rest.end and read_tag(&rest, &field, &wire) and read_inner(&rest, &inner):
        quantile = value = 0
        while inner.at < inner.end and read_tag(&inner, &field, &wire) and read_double(&inner, &number):
            if field == 1:
                quantile = number
            else:
                value = number
        quantiles.append(quantile)
        values.append(value)
    return tuple(quantiles), tuple(values)
