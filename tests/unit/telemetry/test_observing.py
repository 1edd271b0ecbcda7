"""What the parts of the program are counted by."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from tests.unit.telemetry.test_metrics import value
from tidegauge.errors import CircuitOpen, InvalidArgument, Overloaded, TidegaugeError, Unavailable
from tidegauge.health.circuits import Circuit, CircuitLimits
from tidegauge.model.batch import LogBatch, Rejection, Signal
from tidegauge.storage.interface import IngestOutcome, IngestRequest
from tidegauge.telemetry.metrics import Metrics
from tidegauge.telemetry.observing import CountedIngest, ObservedGuard, ObservedStore, observed_statements
from tidegauge.telemetry.sampling import circuit_sample


def request(items: int, *rejections: Rejection) -> IngestRequest:
    batch = LogBatch(rejections=list(rejections))
    batch.ordinal = list(range(items))
    return IngestRequest(0, Signal.LOGS, "/v1/logs", UUID(int=1), batch, 0, 1000)


async def text(metrics: Metrics) -> str:
    return (await metrics.exposition()).decode()


async def test_items_are_stored_rejected_or_repeated() -> None:
    metrics = Metrics()
    counted = CountedIngest(metrics)
    late = Rejection("timestamp_too_old", "…", items=2)
    # Of eight sent, two were late and one more was refused by the store.
    counted.stored(request(6, late), IngestOutcome(3, "…", reasons=(("timestamp_too_old", 2), ("refused_by_the_database", 1))))
    counted.stored(request(5), IngestOutcome(0, "", repeated=True))
    counted.stored(request(4), IngestOutcome(0, ""))
    told = await text(metrics)
    for result, count in (("stored", 9), ("rejected", 3), ("repeated", 5)):
        assert value(told, "ingest_items_total", signal="logs", result=result) == count
    assert value(told, "ingest_rejected_items_total", signal="logs", reason="timestamp_too_old") == 2
    assert value(told, "ingest_rejected_items_total", signal="logs", reason="refused_by_the_database") == 1
    assert value(told, "ingest_requests_total", signal="logs", result="stored") == 2
    assert value(told, "ingest_requests_total", signal="logs", result="repeated") == 1
    assert value(told, "ingest_bytes_total", signal="logs") == 2000


async def test_requests_that_are_not_stored() -> None:
    metrics = Metrics()
    counted = CountedIngest(metrics)
    counted.refused(Signal.TRACES, InvalidArgument("…"))
    counted.refused(Signal.TRACES, TidegaugeError("…"))
    counted.turned_away(Overloaded("…"))
    counted.turned_away(Unavailable("…"))
    told = await text(metrics)
    assert value(told, "ingest_requests_total", signal="traces", result="refused") == 1
    assert value(told, "ingest_requests_total", signal="traces", result="failed") == 1
    assert value(told, "ingest_turned_away_total", reason="overloaded") == 1
    assert value(told, "ingest_turned_away_total", reason="unavailable") == 1


async def test_commits_are_timed_and_their_failures_counted() -> None:
    class Store:
        failure: Exception | None = None

        async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
            if self.failure is not None:
                raise self.failure
            return [IngestOutcome(0, "") for _ in requests]

    store, metrics = Store(), Metrics()
    observed = ObservedStore(store, "timescaledb", metrics, None)
    assert len(await observed.commit([request(5), request(6)])) == 2
    store.failure = Unavailable("away")
    with pytest.raises(Unavailable):
        await observed.commit([request(5)])
    told = await text(metrics)
    assert value(told, "ingest_commit_items_sum", store="timescaledb") == 11
    assert value(told, "ingest_commit_duration_seconds_count", store="timescaledb") == 1
    assert value(told, "ingest_commit_errors_total", store="timescaledb", error="Unavailable") == 1


async def test_questions_are_timed_and_the_circuit_still_decides() -> None:
    metrics = Metrics()
    circuit = Circuit("redis", CircuitLimits(1, 60, 1))
    guard = ObservedGuard("redis", circuit, metrics, None)
    async with metrics.sampling(circuit_sample(metrics, [circuit])):
        with guard("get"):
            pass
        with pytest.raises(Unavailable), guard("get"):
            raise Unavailable("away")
        with pytest.raises(CircuitOpen), guard("get"):
            raise AssertionError("asked all the same")
        told = await text(metrics)
    assert value(told, "dependency_request_duration_seconds_count", dependency="redis", operation="get") == 1
    assert value(told, "dependency_errors_total", dependency="redis", error="Unavailable") == 1
    assert value(told, "dependency_errors_total", dependency="redis", error="CircuitOpen") == 1
    assert value(told, "circuit_breaker_state", dependency="redis", state="open") == 1
    assert value(told, "circuit_breaker_state", dependency="redis", state="closed") == 0
    assert value(told, "circuit_breaker_opened_total", dependency="redis") == 1


async def test_statements_are_timed_by_their_names() -> None:
    metrics = Metrics()
    statements = observed_statements(metrics, None)
    with statements("traces.find_spans"):
        pass
    with pytest.raises(ValueError, match="…"), statements("traces.find_spans"):
        raise ValueError("…")
    told = await text(metrics)
    assert value(told, "database_query_duration_seconds_count", query="traces.find_spans") == 1
    assert value(told, "database_query_errors_total", query="traces.find_spans") == 1
