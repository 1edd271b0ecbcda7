"""Which tables a group of requests fills densely enough to be written straight into the columnstore.

The columnstore keeps rows in batches of one segment each. A batch of few rows takes more room than the rows do, and each is read and
merged later, so that direct compress pays only where a group holds many rows of each segment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from tidegauge.model.batch import MetricBatch, SpanBatch
from tidegauge.storage.interface import IngestRequest
from tidegauge.storage.postgres.intern import Interned

ROWS_PER_SEGMENT = 100


def dense(requests: Iterable[tuple[IngestRequest, Interned]]) -> Collection[str]:
    """Tables of which these requests hold at least 100 rows a segment on average.

    Segments are those of sql/schema: an application's spans of one kind, an application's logs, a series' points. The index of traces is
    never among them: it is one segment, and until it is recompacted each of its batches would have to be read to find a trace.
    """
    rows: dict[str, int] = defaultdict(int)
    segments: dict[str, set[int | tuple[int, int]]] = defaultdict(set)
    for request, ids in requests:
        batch = request.batch
        found: Iterable[int | tuple[int, int]]
        if isinstance(batch, MetricBatch):
            table, count, found = "metrics", len(batch.numbers), ids.series
        elif isinstance(batch, SpanBatch):
            table, count = "traces", len(batch)
            found = {(ids.resources[resource][1], kind) for resource, kind in zip(batch.resource, batch.kind, strict=True)}
        else:
            table, count, found = "logs", len(batch), {application_id for _, application_id in ids.resources}
        rows[table] += count
        segments[table].update(found)
    return {table for table, count in rows.items() if count and count >= ROWS_PER_SEGMENT * len(segments[table])}
