"""Use cases: log records by search, by id and with their neighbours; counts, the most frequent values, deletion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

from tidegauge.errors import InvalidArgument, NotFound
from tidegauge.model.query import Cursor, LogField, LogFilter, Order, TimeRange
from tidegauge.model.records import LogRecord, TopValue
from tidegauge.query.metrics import default_step, whole_steps
from tidegauge.query.paging import Listing, encode_cursor
from tidegauge.query.restoring import Restorer
from tidegauge.query.traces import Found
from tidegauge.storage.interface import LogStore

FIELD_FORM = "service, severity, event_name, scope, trace_id, or attributes. and the key of an attribute: attributes.http.route"
_ATTRIBUTE = "attributes."
# Elasticsearch finds values by an expression with the key in it, of at most 1000 characters with what is escaped.
_LONGEST_KEY = 400
_SEVERITIES = ("trace", "debug", "info", "warn", "error", "fatal")
_ALIASES = {"warning": "warn", "err": "error", "critical": "fatal", "information": "info"}


@dataclass(frozen=True, slots=True)
class Context:
    """A record and its neighbours, oldest first."""

    before: tuple[LogRecord, ...]
    record: LogRecord
    after: tuple[LogRecord, ...]


@dataclass(frozen=True, slots=True)
class SeverityCounts:
    """How many records of a severity there are: by the start of their step in order, without the steps that have none."""

    severity_number: int
    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class CountsAnswer:
    """Counts by severity, and the whole steps that were read."""

    time: TimeRange
    step_ns: int
    severities: tuple[SeverityCounts, ...]


async def find_logs(
    store: LogStore, tenant_id: int, wanted: LogFilter, limit: int, after: Cursor | None, order: Order = Order.NEWEST_FIRST
) -> Found[LogRecord]:
    """A page of log records as they were sent."""
    page = await store.find_logs(tenant_id, wanted, limit, after, order)
    restorer = Restorer()
    rows = tuple([restorer.log(row) for row in page.rows])
    return Found(rows, encode_cursor(Listing.LOGS, wanted.time, page.next) if page.next else None)


async def read_log(store: LogStore, tenant_id: int, log_id: str) -> LogRecord:
    """One record.

    Raises:
        InvalidArgument: it is not an id.
        NotFound: there is no such record.

    """
    found = await store.log(tenant_id, log_id)
    if found is None:
        raise _not_found(log_id)
    return Restorer().log(found)


async def read_context(store: LogStore, tenant_id: int, log_id: str, before: int, after: int, wanted: LogFilter | None) -> Context:
    """A record with its neighbours, those that ``wanted`` finds alone.

    Raises:
        InvalidArgument: it is not an id.
        NotFound: there is no such record.

    """
    found = await store.context(tenant_id, log_id, before, after, wanted)
    if found is None:
        raise _not_found(log_id)
    restore = Restorer().log
    return Context(tuple(map(restore, found.before)), restore(found.record), tuple(map(restore, found.after)))


async def count_logs(store: LogStore, tenant_id: int, wanted: LogFilter, step_ns: int | None, max_points: int) -> CountsAnswer:
    """Counts over time by severity; the filter's time is widened to whole steps.

    Raises:
        InvalidArgument: there are too many steps.

    """
    step = step_ns or default_step(wanted.time)
    time = whole_steps(wanted.time, step)
    if (time.end_ns - time.start_ns) // step > max_points:
        raise InvalidArgument(
            f"the range has more than {max_points} steps", hint="ask for a longer step or a shorter range", parameter="step"
        )
    found = await store.count_logs(tenant_id, replace(wanted, time=time), step)
    by_severity = sorted(found, key=attrgetter("severity_number", "time_unix_nano"))
    severities = [
        SeverityCounts(number, tuple([(count.time_unix_nano, count.count) for count in counts]))
        for number, counts in groupby(by_severity, attrgetter("severity_number"))
    ]
    return CountsAnswer(time, step, tuple(severities))


async def top_values(store: LogStore, tenant_id: int, wanted: LogFilter, field: LogField | str, limit: int) -> Sequence[TopValue]:
    """The most frequent values; severities by name."""
    found = await store.top_values(tenant_id, wanted, field, limit)
    if field is not LogField.SEVERITY:
        return found
    return [TopValue(severity_name(int(one.value)), one.count) for one in found]


def parse_field(text: str) -> LogField | str:
    """A field, or the key of an attribute; see :data:`FIELD_FORM`.

    Raises:
        InvalidArgument: it is none.

    """
    if text.startswith(_ATTRIBUTE) and text != _ATTRIBUTE:
        if len(text) > _LONGEST_KEY:
            raise InvalidArgument(f"field has more than {_LONGEST_KEY} characters", hint=f"expected {FIELD_FORM}", parameter="field")
        return text.removeprefix(_ATTRIBUTE)
    try:
        return LogField(text)
    except ValueError:
        raise InvalidArgument(f"field={text!r} is not known", hint=f"expected {FIELD_FORM}", parameter="field") from None


def severity_name(number: int) -> str:
    """The short name of a SeverityNumber (OpenTelemetry, Logs Data Model, "Displaying Severity"); digits of one that has none."""
    if number == 0:
        return "UNSPECIFIED"
    if not 1 <= number <= 24:
        return str(number)
    degree = (number - 1) % 4 + 1
    return _SEVERITIES[(number - 1) // 4].upper() + (str(degree) if degree > 1 else "")


def _not_found(log_id: str) -> NotFound:
    return NotFound(f"there is no log record {log_id}", hint="it may not have arrived yet, or be older than the retention")


def parse_severity(text: str, parameter: str) -> tuple[int, int]:
    """First and last SeverityNumber (opentelemetry/proto/logs/v1/logs.proto): ``error`` is 17 to 20, ``error2`` or ``18`` is one.

    Raises:
        InvalidArgument: there is no such severity.

    """
    name = text.strip().lower().removeprefix("severity_number_")
    if name.isascii() and name.isdigit() and int(name) <= 24:
        return int(name), int(name)
    name = _ALIASES.get(name, name)
    if name in _SEVERITIES:
        first = 1 + 4 * _SEVERITIES.index(name)
        return first, first + 3
    if name[:-1] in _SEVERITIES and name[-1] in "234":
        exact = 4 * _SEVERITIES.index(name[:-1]) + int(name[-1])
        return exact, exact
    raise InvalidArgument(
        f"{parameter}={text!r} is not known", hint=f"expected one of {', '.join(_SEVERITIES)} or 0 to 24", parameter=parameter
    )
