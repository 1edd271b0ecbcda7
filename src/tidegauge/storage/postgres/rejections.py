"""What was rejected: written down in the transaction of the rows, and read again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from psycopg import AsyncConnection

from tidegauge.errors import InvalidArgument
from tidegauge.model.batch import Rejection, Signal
from tidegauge.model.query import Cursor, RejectionFilter
from tidegauge.model.records import RejectionCount, ServiceCount, StoredRejection
from tidegauge.model.samples import JSON_TYPE, SAMPLE_BYTES
from tidegauge.storage import sqlfiles
from tidegauge.storage.interface import IngestRequest, Page
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import Row, rows, timestamp

# Rows of their own in a minute: of a service, and of all; see sql/queries/rejections.sql.
_SERVICE_ROWS = 10
_REASON_ROWS = 100
_SERVICES = 10
_MESSAGE_LENGTH = 1000
_SERVICE_LENGTH = 200
_ID_BYTES = 16


class RejectionRecorder:
    """Writes rejections down: the first of a minute by themselves, with their samples, what comes after as a sum.

    So a client that sends nothing but bad items makes a bounded number of rows, and every item is counted.
    """

    def __init__(self) -> None:
        self._sql = sqlfiles.queries("rejections")

    async def record(self, connection: AsyncConnection, requests: Sequence[IngestRequest]) -> None:
        """All rejections of these requests, in the connection's transaction."""
        found = _gathered([_Row(request, rejection) for request in requests for rejection in request.batch.rejections])
        if found:
            await connection.execute(self._sql["record"], _parameters(found))


class PostgresRejectionStore:
    """``RejectionStore`` on ``tidegauge.ingest_rejections``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("rejections")

    async def find_rejections(self, tenant_id: int, wanted: RejectionFilter, limit: int, after: Cursor | None) -> Page[StoredRejection]:
        """See ``RejectionStore``. A cursor's tie is the row's id."""
        if after is not None and len(after.tie) != _ID_BYTES:
            raise InvalidArgument("cursor is not one of this search", parameter="cursor")
        parameters = _filter(tenant_id, wanted) | {
            "before": None if after is None else timestamp(after.time_ns),
            "before_id": None if after is None else UUID(bytes=after.tie),
            "limit": limit + 1,
        }
        async with self._database.reading() as connection:
            found = await rows(connection, self._sql["find_rejections"], parameters)
        page = [_rejection(row) for row in found[:limit]]
        last = page[-1] if len(found) > limit else None
        return Page(page, None if last is None else Cursor(last.rejected_at_unix_nano, UUID(last.rejection_id).bytes))

    async def count_rejections(self, tenant_id: int, wanted: RejectionFilter) -> Sequence[RejectionCount]:
        """See ``RejectionStore``."""
        async with self._database.reading() as connection:
            found = await rows(connection, self._sql["count_rejections"], _filter(tenant_id, wanted) | {"services": _SERVICES})
        return [_count(row) for row in found]


@dataclass(frozen=True, slots=True)
class _Row:
    request: IngestRequest
    rejection: Rejection

    @property
    def key(self) -> tuple[int, Signal, str, str]:
        return self.request.tenant_id, self.request.signal, self.rejection.reason, self.rejection.service


def _gathered(found: Sequence[_Row]) -> list[_Row]:
    """Those that may get a row of their own, and for each service and reason the sum of all others, which cannot."""
    places: Counter[tuple[int, Signal, str, str]] = Counter()
    first: list[_Row] = []
    sums: dict[tuple[int, Signal, str, str], _Row] = {}
    for row in found:
        places[row.key] += 1
        if places[row.key] <= _SERVICE_ROWS:
            first.append(row)
        elif row.key in sums:
            before = sums[row.key]
            sums[row.key] = _Row(row.request, replace(before.rejection, items=before.rejection.items + row.rejection.items))
        else:
            sums[row.key] = _Row(row.request, replace(row.rejection, sample=None))
    return [*first, *sums.values()]


def _parameters(found: Sequence[_Row]) -> dict[str, object]:
    return {
        "tenant_id": [row.request.tenant_id for row in found],
        "signal": [int(row.request.signal) for row in found],
        "digest": [row.request.digest for row in found],
        "reason": [row.rejection.reason for row in found],
        "message": [_text(row.rejection.message)[:_MESSAGE_LENGTH] for row in found],
        "items": [row.rejection.items for row in found],
        "service": [_text(row.rejection.service)[:_SERVICE_LENGTH] for row in found],
        "sample_type": [row.rejection.sample_type for row in found],
        "sample": [_sample(row.rejection) for row in found],
        "service_rows": _SERVICE_ROWS,
        "reason_rows": _REASON_ROWS,
    }


def _sample(rejection: Rejection) -> bytes | None:
    sample = rejection.sample
    if sample is None or rejection.sample_type != JSON_TYPE:
        return sample if sample is None else sample[:SAMPLE_BYTES]
    # Text in PostgreSQL: whole characters, and no NUL.
    return sample[:SAMPLE_BYTES].replace(b"\0", b"").decode("utf-8", "ignore").encode()


def _text(value: str) -> str:
    return value.replace("\0", "\ufffd")


def _filter(tenant_id: int, wanted: RejectionFilter) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "start": timestamp(wanted.time.start_ns),
        "end": timestamp(wanted.time.end_ns, up=True),
        "signal": None if wanted.signal is None else int(wanted.signal),
        "reason": wanted.reason,
        "service": wanted.service,
    }


def _rejection(row: Row) -> StoredRejection:
    return StoredRejection(
        rejection_id=str(row["rejection_id"]),
        rejected_at_unix_nano=row["rejected_at_us"] * 1000,
        signal=Signal(row["signal"]),
        reason=row["reason"],
        message=row["message"],
        items=row["items"],
        service=row["service"],
        digest="" if row["digest"] is None else row["digest"].hex,
        sample_type=row["sample_type"],
        sample=row["sample"],
    )


def _count(row: Row) -> RejectionCount:
    return RejectionCount(
        signal=Signal(row["signal"]),
        reason=row["reason"],
        items=row["items"],
        first_unix_nano=row["first_at_us"] * 1000,
        last_unix_nano=row["last_at_us"] * 1000,
        services=tuple(ServiceCount(service, items) for service, items in zip(row["services"], row["service_items"], strict=True)),
    )
