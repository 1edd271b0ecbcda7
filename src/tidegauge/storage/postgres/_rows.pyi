from collections.abc import Sequence

from tidegauge.model.batch import SpanBatch

def spans(
    batch: SpanBatch, tenant_id: int, resource_ids: Sequence[tuple[int, int]], scope_ids: Sequence[int], rollup_names: list[str]
) -> bytes | None: ...
def trace_index(batch: SpanBatch, tenant_id: int, resource_ids: Sequence[tuple[int, int]]) -> bytes | None: ...
