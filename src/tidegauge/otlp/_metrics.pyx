# cython: language_level=3, wraparound=False, cdivision=True
"""Metrics (opentelemetry/proto/metrics/v1/metrics.proto) to columns, from the bytes of a part: what ``metrics.py`` makes of it.

A part is read three times over. First its structure, without any consequence: a part that is not of the plainest form is left to Python.
Then its resources, scopes and series are looked up by their bytes. Bytes that are found have been checked when they were kept; for others,
and for whatever is ODD, the official message is asked for, which checks the part as a whole. Only then are rows made.
"""

import sys
from functools import partial

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

from tidegauge._buffer cimport Buffer, buffer_close, buffer_open
from tidegauge.otlp._exemplars cimport exemplars_of
from tidegauge.otlp._objects cimport bytes_of, string_of
from tidegauge.otlp._point_lists cimport attributes_of, fixed_counts, quantiles_of, varint_counts
from tidegauge.otlp._points cimport EXPONENTIAL, GAUGE, HAS_MAX, HAS_MIN, HAS_SUM, HISTOGRAM, SUM, SUMMARY, Point
from tidegauge.otlp._structure cimport Around, Metric, Structure, clear_structure, free_structure, scan_structure
from tidegauge.otlp._wire cimport FINE, ODD, Cursor, left

from orjson import dumps as _dumps

from tidegauge.model.batch import MetadataEntry
from tidegauge.otlp.budget import COUNT_BYTES, EXEMPLAR_BYTES, HISTOGRAM_BYTES, NUMBER_BYTES, QUANTILE_BYTES, SERIES_BYTES, SUMMARY_BYTES
from tidegauge.otlp.items import Repaired
from tidegauge.otlp.limits import METRIC_NAME_LENGTH, UNIT_LENGTH
from tidegauge.otlp.points import EXEMPLARS, HISTOGRAMS, NUMBERS, SUMMARIES, AsSent
from tidegauge.otlp.series import LabelTable, MetricSeries
from tidegauge.otlp.values import REPLACEMENT

if sys.byteorder != "little":
    raise ImportError("bounds of histograms are known by their bytes, which are those of the wire format only on little-endian machines")

cdef tuple KINDS = ("",) * GAUGE + ("gauge", "", "sum", "", "histogram", "exponential_histogram", "summary")
cdef tuple TEMPORALITIES = ("unspecified", "delta", "cumulative")
cdef tuple NOT_EXPONENTIAL = (None,) * 6
cdef Py_ssize_t NAME_LENGTH = METRIC_NAME_LENGTH, UNITS_LENGTH = UNIT_LENGTH
cdef int64_t A_NUMBER = NUMBER_BYTES, A_HISTOGRAM = HISTOGRAM_BYTES, A_SUMMARY = SUMMARY_BYTES
cdef int64_t A_COUNT = COUNT_BYTES, A_QUANTILE = QUANTILE_BYTES, A_SERIES = SERIES_BYTES, AN_EXEMPLAR = EXEMPLAR_BYTES


cdef class MetricReader:
    """Reads the parts of one request into a batch; ``decoder`` is the request's in ``metrics.py``."""

    cdef object decoder, origins, budget, rejections, table, cache, points
    cdef dict indexes, metadata
    cdef list resources, scopes, series, number_rows, histogram_rows, summary_rows, exemplar_rows
    cdef tuple numbers, histograms, summaries, exemplars
    cdef Buffer out
    cdef Structure part
    # Of the part that is read: indexes and identities of its resources and scopes, texts of its metrics, series of its points.
    cdef list places, texts, found
    # By the place of their point.
    cdef dict found_exemplars
    cdef Py_ssize_t taken
    cdef object message
    cdef uint64_t time, start
    cdef object time_object, start_object

    def __cinit__(self, *_):
        buffer_open(&self.out, 1024)

    def __init__(self, decoder, origins, batch, rejections, budget, table, points, metadata):
        self.decoder, self.origins, self.budget, self.rejections = decoder, origins, budget, rejections
        self.table, self.cache, self.points, self.metadata = table, table.cache, points, metadata
        self.indexes, self.series = table.indexes, batch.series
        self.resources, self.scopes = batch.resources, batch.scopes
        self.number_rows, self.histogram_rows, self.summary_rows = points.numbers, points.histograms, points.summaries
        self.exemplar_rows = points.exemplars
        self.exemplars = _columns(batch.exemplars, EXEMPLARS)
        self.numbers = _columns(batch.numbers, NUMBERS)
        self.histograms = _columns(batch.histograms, HISTOGRAMS)
        self.summaries = _columns(batch.summaries, SUMMARIES)
        self.time = self.start = 0
        self.time_object = self.start_object = None

    def __dealloc__(self):
        buffer_close(&self.out)
        free_structure(&self.part)

    def read(self, part, bytes body not None):
        """Add the rows of a part; false where nothing was added, and Python is to do it.

        Raises:
            InvalidArgument: the part is malformed.
            PayloadTooLarge: the batch takes too much memory.

        """
        cdef Cursor whole
        whole.at = <const uint8_t *>PyBytes_AS_STRING(body)
        whole.end = whole.at + PyBytes_GET_SIZE(body)
        clear_structure(&self.part)
        self.places, self.texts, self.found, self.found_exemplars, self.message = [], [], [], {}, None
        try:
            if not scan_structure(&self.part, whole):
                return False
            self._find_origins(part)
            self._find_series(part)
        except (UnicodeDecodeError, Repaired):
            return False
        self.taken = 0
        self._add_rows(part)
        self.message = None
        return True

    # Looking up.

    cdef object _checked(self, part):
        """The official message of the part. Raises Repaired: it is another then, and no row was added yet."""
        if self.message is None:
            self.message = part.message()
        return self.message

    cdef int _find_origins(self, part) except -1:
        """Add resources and scopes to the batch. If Python reads the part after all, it finds the same, and first these."""
        cdef Py_ssize_t outer, inner, place
        cdef list resources = [_sent(<Around *>self.part.outer.items + outer) for outer in range(self.part.outer.count)]
        cdef list scopes = [_sent(<Around *>self.part.inner.items + inner) for inner in range(self.part.inner.count)]
        if not (_are_known(self.origins._resource_cache, resources) and _are_known(self.origins._scope_cache, scopes)):
            self._checked(part)
        inner = 0
        for outer in range(self.part.outer.count):
            resource = self.origins.resource_of(*resources[outer], partial(_resource, part, outer))
            for place in range((<Around *>self.part.outer.items + outer).items):
                scope = self.origins.scope_of(*scopes[inner], partial(_scope, part, outer, place))
                self.places.append((resource, scope))
                inner += 1
        return 0

    cdef int _find_series(self, part) except -1:
        """Texts of all metrics, and the series of all plain points; where one is not known, or a point is not plain, the message is read."""
        cdef Py_ssize_t number
        cdef Metric *metric
        for number in range(self.part.metrics.count):
            metric = <Metric *>self.part.metrics.items + number
            name, unit = string_of(&metric.name), string_of(&metric.unit)
            self.texts.append((name, unit, string_of(&metric.description)))
            # Without points a metric is nothing, unless it is of a type that is not known.
            metric.is_odd = not metric.kind or metric.points and not _is_named(name, unit)
            # What describes a metric is checked with the message alone.
            if metric.is_odd or metric.has_metadata:
                self._checked(part)
            if not metric.is_odd and metric.points:
                self._find_series_of(part, metric, number)
        return 0

    cdef int _find_series_of(self, part, Metric *metric, Py_ssize_t number) except -1:
        cdef Py_ssize_t place
        cdef Point *point
        cdef Cursor bounds = Cursor(NULL, NULL)
        cdef dict known = None
        cdef bytes fields
        cdef PyObject *entry
        for place in range(metric.first, metric.first + metric.points):
            point = <Point *>self.part.items.items + place
            if point.outcome == FINE and point.exemplars.at != NULL:
                exemplars = exemplars_of(point.exemplars, &self.out, _dumps)
                if exemplars is None:
                    point.outcome = ODD
                else:
                    self.found_exemplars[place] = exemplars
            if point.outcome != FINE:
                self._checked(part)
                self.found.append(None)
                continue
            if known is None or (metric.kind == HISTOGRAM and not _are_equal(&bounds, &point.bounds)):
                bounds = point.bounds
                context = self._context(metric, number, bytes_of(&bounds) if metric.kind == HISTOGRAM else None)
                known = self.cache.known(context)
            fields = bytes_of(&point.attributes)
            entry = PyDict_GetItem(known, fields)
            if entry != NULL:
                self.found.append(<object>entry)
            else:
                message = self._message_points(part, metric)[place - metric.first]
                self.found.append(LabelTable(self.table, context, known).add(fields, message.attributes))
        return 0

    cdef tuple _key(self, Metric *metric, Py_ssize_t number):
        name, unit, _ = self.texts[number]
        temporality = None if metric.kind == GAUGE or metric.kind == SUMMARY else TEMPORALITIES[metric.temporality]
        return name, KINDS[metric.kind], unit, temporality, metric.is_monotonic if metric.kind == SUM else None

    cdef tuple _context(self, Metric *metric, Py_ssize_t number, bytes bounds):
        """A series.ContextKey."""
        resource, scope = self.places[metric.scope]
        return (
            self.resources[resource].identity.bytes, self.scopes[scope].identity.bytes, resource, scope, self._key(metric, number), bounds
        )

    cdef object _message(self, part, Metric *metric):
        """The official message of a metric."""
        cdef Around *scope = <Around *>self.part.inner.items + metric.scope
        return self._checked(part).resource_metrics[scope.outer].scope_metrics[scope.place].metrics[metric.place]

    cdef object _message_points(self, part, Metric *metric):
        return getattr(self._message(part, metric), KINDS[metric.kind]).data_points

    # Rows. The message is there already if it is needed.

    cdef int _add_rows(self, part) except -1:
        cdef Py_ssize_t number, outer = -1
        cdef Metric *metric
        for number in range(self.part.metrics.count):
            metric = <Metric *>self.part.metrics.items + number
            resource, scope = self.places[metric.scope]
            if outer != (<Around *>self.part.inner.items + metric.scope).outer:
                outer = (<Around *>self.part.inner.items + metric.scope).outer
                self.rejections.service = self.resources[resource].service_name
            if metric.is_odd:
                self.decoder.metric(self._message(part, metric), None, resource, scope)
            elif metric.points:
                self._add_metric(part, metric, number, resource, scope)
        return 0

    cdef int _add_metric(self, part, Metric *metric, Py_ssize_t number, resource, scope) except -1:
        cdef Py_ssize_t place, before = len(self.series)
        cdef int64_t spent = metric.points * _row_bytes(metric.kind)
        cdef Point *point
        messages = series = None
        for place in range(metric.first, metric.first + metric.points):
            point = <Point *>self.part.items.items + place
            if point.outcome == FINE:
                index = self._index(<tuple>self.found[self.taken])
                if metric.kind == GAUGE or metric.kind == SUM:
                    self._add_number(point, index)
                elif metric.kind == SUMMARY:
                    spent += A_QUANTILE * self._add_summary(point, index)
                else:
                    spent += A_COUNT * self._add_histogram(point, index, metric.kind == EXPONENTIAL)
                if point.exemplars.at != NULL:
                    spent += self._add_exemplars(<list>self.found_exemplars[place], index)
            else:
                if messages is None:
                    messages = self._message_points(part, metric)
                    series = MetricSeries(self.table, resource, scope, self._key(metric, number))
                self.points.add_odd(
                    KINDS[metric.kind], messages[place - metric.first], AsSent(attributes_of(metric.kind, point)), series
                )
            self.taken += 1
        self.budget.spend(spent + A_SERIES * (len(self.series) - before) + 2 * self.table.take_written())
        if metric.description.at != metric.description.end or metric.has_metadata:
            self._describe(part, metric, number, resource)
        return 0

    cdef int _describe(self, part, Metric *metric, Py_ssize_t number, resource) except -1:
        cdef tuple key
        name, unit, description = self.texts[number]
        if metric.has_metadata:
            self.decoder.describe(self._message(part, metric), KINDS[metric.kind], resource)
            return 0
        key = resource, name, KINDS[metric.kind], unit
        if key not in self.metadata:
            description = description.replace("\0", REPLACEMENT)
            self.budget.spend(A_SERIES + len(description))
            self.metadata[key] = MetadataEntry(resource, name, KINDS[metric.kind], unit, description, None)
        return 0

    cdef object _index(self, tuple known):
        """Index of a series in the batch, as SeriesTable.index gives it."""
        cdef PyObject *index = PyDict_GetItem(self.indexes, known[0])
        return <object>index if index != NULL else self.table.index(known)

    cdef inline object _time(self, uint64_t time):
        """Times are often those of the point before."""
        if time != self.time or self.time_object is None:
            self.time, self.time_object = time, time
        return self.time_object

    cdef inline object _start(self, uint64_t start):
        if not start:
            return None
        if start != self.start or self.start_object is None:
            self.start, self.start_object = start, start
        return self.start_object

    cdef int _add_number(self, Point *point, index) except -1:
        cdef list series, times, starts, values, integers, flags
        if self.number_rows:
            self.points.hand_over()
        series, times, starts, values, integers, flags = self.numbers
        series.append(index)
        times.append(self._time(point.time))
        starts.append(self._start(point.start))
        values.append(point.value if point.has else None)
        integers.append(None)
        flags.append(point.flags)
        return 0

    cdef Py_ssize_t _add_histogram(self, Point *point, index, bint is_exponential) except -1:
        """How many counts it has."""
        cdef tuple counts = varint_counts(point.positive.counts) if is_exponential else fixed_counts(point.counts), negative = None
        if self.histogram_rows:
            self.points.hand_over()
        if is_exponential:
            negative = varint_counts(point.negative.counts)
            exponential = (
                point.scale,
                point.zero_count,
                point.zero_threshold,
                point.positive.offset if point.positive.is_sent else None,
                point.negative.offset if point.negative.is_sent else None,
                negative,
            )
        else:
            exponential = NOT_EXPONENTIAL
        _append(
            self.histograms,
            (
                index,
                self._time(point.time),
                self._start(point.start),
                point.count,
                point.sum if point.has & HAS_SUM else None,
                point.min if point.has & HAS_MIN else None,
                point.max if point.has & HAS_MAX else None,
                counts,
                point.flags,
            )
            + exponential,
        )
        return (0 if counts is None else len(counts)) + (0 if negative is None else len(negative))

    cdef int64_t _add_exemplars(self, list rows, index) except -1:
        """What they take."""
        cdef int64_t taken = 0
        if self.exemplar_rows:
            self.points.hand_over()
        for time, value, trace_id, span_id, attributes in rows:
            _append(self.exemplars, (index, time, value, None, trace_id, span_id, attributes, None))
            taken += AN_EXEMPLAR + (0 if attributes is None else len(<bytes>attributes))
        return taken

    cdef Py_ssize_t _add_summary(self, Point *point, index) except -1:
        """How many quantiles it has."""
        if self.summary_rows:
            self.points.hand_over()
        quantiles, values = quantiles_of(point)
        _append(
            self.summaries,
            (index, self._time(point.time), self._start(point.start), point.count, point.sum, quantiles, values, point.flags),
        )
        return len(<tuple>values)


cdef tuple _sent(const Around *around):
    """A resource or scope and its schema_url. Raises UnicodeDecodeError."""
    return bytes_of(&around.message), string_of(&around.url)


cdef bint _are_known(cache, list all_sent) except -1:
    for sent in all_sent:
        if cache.get(sent) is None:
            return False
    return True


def _resource(part, Py_ssize_t outer):
    return part.message().resource_metrics[outer].resource


def _scope(part, Py_ssize_t outer, Py_ssize_t inner):
    return part.message().resource_metrics[outer].scope_metrics[inner].scope


cdef bint _is_named(str name, str unit):
    """Whether the points of a metric are stored; ``metrics`` says why they are not."""
    return 0 < len(name) <= NAME_LENGTH and "\0" not in name and len(unit) <= UNITS_LENGTH and "\0" not in unit


cdef inline bint _are_equal(const Cursor *one, const Cursor *other) noexcept:
    return left(one) == left(other) and (left(one) == 0 or memcmp(one.at, other.at, left(one)) == 0)


cdef inline int64_t _row_bytes(int kind) noexcept:
    return A_NUMBER if kind == GAUGE or kind == SUM else A_SUMMARY if kind == SUMMARY else A_HISTOGRAM


cdef tuple _columns(target, names):
    return tuple([getattr(target, name) for name in names])


cdef int _append(tuple columns, tuple row) except -1:
    cdef Py_ssize_t place
    for place in range(len(row)):
        (<list>columns[place]).append(row[place])
    return 0
