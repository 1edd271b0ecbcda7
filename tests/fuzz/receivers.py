"""What is fuzzed: all receivers with the whole path behind them, and a store that encodes rows for COPY and forgets them."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
from google.protobuf.json_format import ParseDict
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, RetryInfo  # noqa: F401 (they are in Any)
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.fuzz.cases import Case, Wrong
from tidegauge.ingest.ingestor import Ingestor
from tidegauge.ingest.limits import TimeLimits
from tidegauge.ingest.writer import Writer
from tidegauge.model.batch import LogBatch, MetricBatch, Signal, SpanBatch
from tidegauge.otlp.decode import Decoder
from tidegauge.receiver.grpc_export import Exports, Reading
from tidegauge.receiver.grpc_token import Token
from tidegauge.receiver.http import OtlpHttp
from tidegauge.receiver.ways import Beside, LogWays, is_way_at_root
from tidegauge.storage.interface import IngestOutcome, IngestRequest
from tidegauge.storage.postgres import attribute_pairs, copy

NOW = 1_790_000_000_123_456_789
MAX_BODY_BYTES = 4 << 20
RESPONSES = {
    b"/v1/traces": ExportTraceServiceResponse,
    b"/v1/metrics": ExportMetricsServiceResponse,
    b"/v1/logs": ExportLogsServiceResponse,
    b"traces": ExportTraceServiceResponse,
    b"metrics": ExportMetricsServiceResponse,
    b"logs": ExportLogsServiceResponse,
}
SERVICES = {
    b"traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    b"metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    b"logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}
REFUSALS = {
    400: Code.INVALID_ARGUMENT,
    404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED,
    413: Code.RESOURCE_EXHAUSTED,
    415: Code.INVALID_ARGUMENT,
}
WAY_STATUSES = {200, 204, 400, 404, 405, 406, 413, 415}
GRPC_REFUSALS = {Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED}


class Store:
    """Encodes what it is given, as the database's adapter does, and keeps nothing."""

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        return [self._commit(request) for request in requests]

    def _commit(self, request: IngestRequest) -> IngestOutcome:
        batch = request.batch
        resources, scopes = [(1, 1)] * len(batch.resources), [1] * len(batch.scopes)
        match batch:
            case SpanBatch():
                copy.spans(batch, 0, resources, scopes)
                copy.trace_index(batch, 0, resources)
                attribute_pairs.columns([(0, piece) for piece in attribute_pairs.pieces(batch, [1] * len(batch.resources))], [0])
            case LogBatch():
                copy.logs(batch, 0, resources, scopes, UUID(int=1), request.received_at_unix_nano)
            case MetricBatch():
                series = [1] * len(batch.series)
                copy.numbers(batch.numbers, series)
                copy.histograms(batch.histograms, series)
                copy.summaries(batch.summaries, series)
                copy.exemplars(batch.exemplars, series)
        refused = [rejection for rejection in batch.rejections if rejection.refuses_items]
        return IngestOutcome(sum(each.items for each in refused), "; ".join(f"{each.reason}: {each.message}" for each in batch.rejections))


class Receivers:
    """Both receivers; ``run`` raises Wrong for an answer that is not as it should be."""

    def __init__(self, ingestor: Ingestor, failures: _Failures) -> None:
        self._failures = failures
        ways = LogWays(ingestor, MAX_BODY_BYTES, None, _ready)
        self._http = Beside(OtlpHttp(ingestor, MAX_BODY_BYTES), ways, is_way_at_root)
        exports = Exports(ingestor, Reading(MAX_BODY_BYTES, 16, 30), Token(None))
        self._grpc = {
            path: handler.unary
            for path, service in SERVICES.items()
            for generic in exports.handlers()
            if (handler := _unary(generic.service(_Call(f"/{service}/Export"))))
        }

    async def run(self, case: Case) -> None:
        """One request."""
        self._failures.last = ""
        try:
            await (self._run_grpc(case) if case.method == b"GRPC" else self._run_http(case))
        except Wrong as wrong:
            raise Wrong(f"{wrong}: {self._failures.last}") from None

    async def _run_http(self, case: Case) -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        path, _, query = case.path.partition(b"?")
        scope = {
            "type": "http",
            "method": case.method.decode("latin-1"),
            "path": path.decode("latin-1"),
            "query_string": query,
            "headers": list(case.headers),
        }
        await self._http(scope, _Messages(case).receive, send)
        if sent and is_way_at_root(scope["path"], scope["method"]):
            _check_way(case, sent)
        elif sent:
            _check_http(case, sent)
        elif not case.gone:
            raise Wrong("no answer")

    async def _run_grpc(self, case: Case) -> None:
        context = _Context(case)
        try:
            answer = await self._grpc[case.path](None, context)
        except _Aborted as aborted:
            status = Status.FromString(aborted.details)
            if aborted.code not in GRPC_REFUSALS or status.code != aborted.code or not status.message:
                raise Wrong(f"gRPC status {aborted.code} {status.code} {status.message!r}") from None
        else:
            _check_response(RESPONSES[case.path].FromString(answer))


class _Unary:
    def __init__(self, unary: Any) -> None:
        self.unary = unary


def _unary(handler: Any) -> Any:
    """The method of a handler, whichever kind it is."""
    return handler and _Unary(handler.stream_unary or handler.unary_unary)


class _Call:
    def __init__(self, method: str) -> None:
        self.method = method
        self.invocation_metadata = ()


class _Messages:
    """The parts of a request's body."""

    def __init__(self, case: Case) -> None:
        size = max(1, -(-len(case.body) // max(case.chunks, 1)))
        parts = [case.body[start : start + size] for start in range(0, len(case.body), size)] or [b""]
        self._messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        if case.chunks == 0:
            self._messages.insert(0, {"type": "http.request", "more_body": True})
        if not case.gone:
            self._messages[-1]["more_body"] = False
        self._messages.reverse()

    async def receive(self) -> Any:
        return self._messages.pop() if self._messages else {"type": "http.disconnect"}


class _Aborted(Exception):
    def __init__(self, code: int, details: bytes) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


class _Context:
    """As much of a gRPC call as an Export method uses."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def invocation_metadata(self) -> tuple[()]:
        return ()

    async def read(self) -> Any:
        return grpc.aio.EOF if self._case.gone else self._case.body

    async def abort(self, code: Any, details: str, trailers: Any) -> None:
        raise _Aborted(code.value[0], dict(trailers)["grpc-status-details-bin"])


def _check_http(case: Case, sent: list[Any]) -> None:
    start, body = sent[0], b"".join(message.get("body", b"") for message in sent[1:])
    headers = dict(start["headers"])
    status = start["status"]
    if [message["type"] for message in sent] != ["http.response.start", "http.response.body"]:
        raise Wrong("not one answer")
    if headers[b"content-length"] != str(len(body)).encode():
        raise Wrong("content-length")
    type_ = RESPONSES.get(case.path) if status == 200 else Status
    if type_ is None:
        raise Wrong("success on a path that does not exist")
    match headers[b"content-type"]:
        case b"application/json":
            answer = ParseDict(json.loads(body), type_())
        case b"application/x-protobuf":
            answer = type_.FromString(body)
        case other:
            raise Wrong(f"content-type {other!r}")
    if status == 200:
        _check_response(answer)
    elif REFUSALS.get(status) != answer.code or not answer.message:
        raise Wrong(f"status {status}: {answer.code} {answer.message!r}")


def _check_way(case: Case, sent: list[Any]) -> None:
    """An answer of a way in that is not OTLP: no internal error, and what it says of items adds up."""
    start, body = sent[0], b"".join(message.get("body", b"") for message in sent[1:])
    headers, status = dict(start["headers"]), start["status"]
    if [message["type"] for message in sent] != ["http.response.start", "http.response.body"]:
        raise Wrong("not one answer")
    if status not in WAY_STATUSES:
        raise Wrong(f"status {status}: {body[:200]!r}")
    if status == 204 or case.method == b"HEAD":
        return _check_empty(body)
    if headers[b"content-length"] != str(len(body)).encode() or not body:
        raise Wrong("content-length")
    if b"json" not in headers[b"content-type"]:
        return None
    answer = json.loads(body)
    if "items" in answer and answer["errors"] != any(each["status"] != 201 for item in answer["items"] for each in item.values()):
        raise Wrong("errors")
    if "rejected" in answer and len(answer.get("errors", ())) > answer["rejected"]:
        raise Wrong("more errors than rejected items")
    return None


def _check_empty(body: bytes) -> None:
    if body:
        raise Wrong("a body where none may be")


async def _ready() -> dict[str, str]:
    return {"timescaledb": "ok"}


def _check_response(answer: Any) -> None:
    for name in ("rejected_spans", "rejected_data_points", "rejected_log_records"):
        if getattr(answer.partial_success, name, 0) < 0:
            raise Wrong(f"{name} is negative")
    if answer.HasField("partial_success") and not answer.partial_success.error_message:
        raise Wrong("a partial success that does not say why")


class _Failures(logging.Handler):
    """What the receivers log of an internal error: where it comes from, for the answer does not tell."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            frames = traceback.extract_tb(error.__traceback__)
            self.last = f"{type(error).__name__} in {frames[-1].name}: {str(error)[:200]}"


@asynccontextmanager
async def receivers() -> AsyncIterator[Receivers]:
    """Both receivers on an ingest path of their own."""
    failures = _Failures()
    logging.basicConfig(handlers=[failures], level=logging.ERROR, force=True)
    limits = dict.fromkeys(Signal, TimeLimits(timedelta(days=3650), timedelta(minutes=10)))
    writer = Writer(
        Store(), max_pending_bytes=64 << 20, group_max_rows=10_000, group_max_bytes=8 << 20, commit_timeout=timedelta(seconds=5)
    )
    async with writer:
        yield Receivers(Ingestor(Decoder(4 << 20), writer, limits, lambda: NOW), failures)
