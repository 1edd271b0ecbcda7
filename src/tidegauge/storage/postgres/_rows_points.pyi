from collections.abc import Sequence
from uuid import UUID

from tidegauge.model.batch import HistogramColumns, LogBatch, NumberColumns

def numbers(columns: NumberColumns, series_ids: Sequence[int]) -> bytes: ...
def histograms(columns: HistogramColumns, series_ids: Sequence[int]) -> bytes: ...
def logs(
    batch: LogBatch,
    tenant_id: int,
    resource_ids: Sequence[tuple[int, int]],
    scope_ids: Sequence[int],
    digest: UUID,
    received_at_unix_nano: int,
) -> bytes: ...
