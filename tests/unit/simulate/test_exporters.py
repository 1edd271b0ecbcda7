"""What became of exported items: the account."""

from collections.abc import Sequence
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData, ResourceMetrics
from opentelemetry.sdk.resources import Resource

from tidegauge.errors import ConfigurationError
from tidegauge.simulate.exporters import Account, Outlet, Watch, make_outlet, merged
from tidegauge.simulate.report import Signal


class Result(Enum):
    SUCCESS = 0
    FAILURE = 1


class FakeExporter:
    def __init__(self, watch: Watch, answer: requests.Response | None) -> None:
        self._watch, self._answer = watch, answer
        self.batches: list[int] = []

    def export(self, batch: Sequence[Any]) -> Result:
        self.batches.append(len(batch))
        if self._answer is None:
            return Result.FAILURE
        for hook in self._watch.session.hooks["response"]:
            hook(self._answer)
        return Result.SUCCESS if self._answer.ok else Result.FAILURE

    def shutdown(self) -> None:
        pass


def answer(status: int, body: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code, response.reason = status, "as it is"
    response._content = body
    return response


def exported(reply: requests.Response | None, items: int) -> tuple[Account, FakeExporter]:
    account, watch = Account(), Watch()
    exporter = FakeExporter(watch, reply)
    Outlet({Signal.SPANS: (exporter, watch)}, account).send_spans([SimpleNamespace()] * items)
    return account, exporter


def test_accepted_items_go_out_in_batches() -> None:
    account, exporter = exported(answer(200, b""), 1100)
    assert account.accepted == {Signal.SPANS: 1100}
    assert exporter.batches == [512, 512, 76]


def test_partial_success_is_a_loss_with_the_servers_words() -> None:
    partial = ExportTracePartialSuccess(rejected_spans=3, error_message="too old")
    account, _ = exported(answer(200, ExportTraceServiceResponse(partial_success=partial).SerializeToString()), 10)
    assert account.accepted == {Signal.SPANS: 7}
    assert account.rejected == {(Signal.SPANS, "too old"): 3}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (answer(401, Status(code=16, message="no token").SerializeToString()), "HTTP 401: no token"),
        (answer(502, b"<html>bad gateway</html>"), "HTTP 502: <html>bad gateway</html>"),
        (answer(500, b""), "HTTP 500: as it is"),
        (None, "the exporter reported a failure"),
    ],
)
def test_failures_are_counted_by_reason(reply: requests.Response | None, reason: str) -> None:
    account, _ = exported(reply, 5)
    assert account.failed == {(Signal.SPANS, reason): 5}
    assert not account.accepted


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"thrift.*http/protobuf, http/json, grpc"):
        make_outlet("http://localhost:4318", {}, "thrift", 1, Account())


def test_every_point_of_several_collections_is_encoded() -> None:
    collections: list[ResourceMetrics] = []
    for service in ("cart", "checkout"):
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader], Resource({"service.name": service}))
        counters = [provider.get_meter(scope).create_counter("requests") for scope in ("one", "two")]
        for _ in range(3):
            for counter in counters:
                counter.add(1)
            data = reader.get_metrics_data()
            assert data is not None
            collections += data.resource_metrics
    encoded: Message = encode_metrics(MetricsData(resource_metrics=merged(collections)))
    points = [
        (resource.resource.attributes[0].value.string_value, scope.scope.name, point.as_int)
        for resource in encoded.resource_metrics  # type: ignore[attr-defined]
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.sum.data_points
    ]
    expected = [(service, scope, value) for service in ("cart", "checkout") for scope in ("one", "two") for value in (1, 2, 3)]
    assert sorted(points) == expected
