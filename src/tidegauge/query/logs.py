"""Use case: the search for log records."""

from __future__ import annotations

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import Cursor, LogFilter
from tidegauge.model.records import LogRecord
from tidegauge.query.paging import Listing, encode_cursor
from tidegauge.query.restoring import Restorer
from tidegauge.query.traces import Found
from tidegauge.storage.interface import LogStore

_SEVERITIES = ("trace", "debug", "info", "warn", "error", "fatal")
_ALIASES = {"warning": "warn", "err": "error", "critical": "fatal", "information": "info"}


async def find_logs(store: LogStore, tenant_id: int, wanted: LogFilter, limit: int, after: Cursor | None) -> Found[LogRecord]:
    """A page of log records, newest first, as they were sent."""
    page = await store.find_logs(tenant_id, wanted, limit, after)
    restorer = Restorer()
    rows = tuple([restorer.log(row) for row in page.rows])
    return Found(rows, encode_cursor(Listing.LOGS, wanted.time, page.next) if page.next else None)


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
