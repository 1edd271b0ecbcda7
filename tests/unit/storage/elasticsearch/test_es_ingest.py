"""What becomes of requests by what Elasticsearch answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson
import pytest

from tests.contract.log_stores import Noted, record, request
from tidegauge.errors import InvalidArgument, Overloaded, Unavailable
from tidegauge.storage.elasticsearch import ingest as es_ingest
from tidegauge.storage.elasticsearch.documents import Stream
from tidegauge.storage.elasticsearch.ingest import ElasticsearchIngestStore
from tidegauge.storage.interface import IngestRequest

_INDEX = ".ds-logs-generic.otel-default-2026.01.01-000001"
Answer = Callable[[str, dict[str, Any]], dict[str, Any]]


class _Indices:
    """The stream has one index."""

    async def get(self, **_: Any) -> Any:
        return type("Response", (), {"body": {_INDEX: {"settings": {"index": {"creation_date": "0"}}}}})

    async def refresh(self, **_: Any) -> None: ...


class FakeClient:
    """Answers bulk requests: ``answer`` decides by a document's id and the document itself."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.bulks: list[int] = []
        self.api = self
        self.indices = _Indices()

    async def bulk(self, index: str, body: bytes, answer: str) -> Mapping[str, Any]:
        assert index == "logs-generic.otel-default"
        lines = [orjson.loads(line) for line in body.splitlines()]
        self.bulks.append(len(lines) // 2)
        items = [self.answer(action["create"]["_id"], document) for action, document in zip(lines[::2], lines[1::2], strict=True)]
        return {"errors": True, "items": [{"create": {"_index": _INDEX, **item}} for item in items]}


def store(answer: Answer) -> tuple[ElasticsearchIngestStore, FakeClient, Noted]:
    client, noted = FakeClient(answer), Noted()
    stream = Stream("generic", "default")
    made = ElasticsearchIngestStore(client, stream, timedelta(hours=1), noted, in_flight=2, now_ns=lambda: 10**18)  # type: ignore[arg-type]
    return made, client, noted


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(es_ingest, "_PAUSE_SECONDS", 0.0)


def some(bodies: Sequence[str] = ("a", "b", "c")) -> IngestRequest:
    return request([record(10**18 + place, body) for place, body in enumerate(bodies)])


def created(_: str, __: dict[str, Any]) -> dict[str, Any]:
    return {"status": 201}


async def test_a_resend_conflicts_and_gets_the_same_answer() -> None:
    seen: set[str] = set()

    def answer(log_id: str, _: dict[str, Any]) -> dict[str, Any]:
        conflict = log_id in seen
        seen.add(log_id)
        return {"status": 409, "error": {"reason": "version conflict"}} if conflict else {"status": 201}

    made, _, noted = store(answer)
    one = some()
    (first,) = await made.commit([one])
    (second,) = await made.commit([one])
    assert (first.rejected, first.repeated) == (0, False)
    assert (second.rejected, second.message, second.repeated) == (0, "", True)
    assert seen == {f"{one.digest.hex}-{place}" for place in range(3)}
    assert not noted.requests


async def test_equal_requests_of_a_group_are_sent_once() -> None:
    made, client, _ = store(created)
    one, other = some(), some(("x",))
    outcomes = await made.commit([one, other, one])
    assert [outcome.rejected for outcome in outcomes] == [0, 0, 0]
    assert sum(client.bulks) == 4


async def test_what_is_refused_is_sent_once_more_with_care() -> None:
    def answer(_: str, document: dict[str, Any]) -> dict[str, Any]:
        if "exact" in document["tidegauge"]:
            return {"status": 201}
        return {"status": 400, "error": {"reason": "failed to parse", "caused_by": {"reason": "too deep"}}}

    made, client, noted = store(answer)
    (outcome,) = await made.commit([some()])
    assert outcome.rejected == 0
    assert client.bulks == [3, 3]
    assert not noted.requests


async def test_what_is_refused_with_care_as_well_is_rejected_and_noted() -> None:
    def answer(_: str, document: dict[str, Any]) -> dict[str, Any]:
        if document["body"]["text"] == "b":
            return {"status": 400, "error": {"reason": "failed to parse", "caused_by": {"reason": "too deep"}}}
        return {"status": 201}

    made, _, noted = store(answer)
    (outcome,) = await made.commit([some()])
    assert outcome.rejected == 1
    assert outcome.message == "1 × refused_by_log_store: failed to parse: too deep"
    (written,) = noted.requests
    (rejection,) = written.batch.rejections
    assert (rejection.reason, rejection.items, rejection.service) == ("refused_by_log_store", 1, "shop")
    assert not len(written.batch)
    assert outcome.reasons == (("refused_by_log_store", 1),)
    assert outcome.refused == ((1, "refused_by_log_store", "failed to parse: too deep"),)


@pytest.mark.parametrize("status", [429, 503])
async def test_what_had_no_room_is_tried_again(status: int) -> None:
    asked: list[str] = []

    def answer(log_id: str, _: dict[str, Any]) -> dict[str, Any]:
        asked.append(log_id)
        return {"status": status if log_id.endswith("-1") and len(asked) < 4 else 201}

    made, client, _ = store(answer)
    (outcome,) = await made.commit([some()])
    assert outcome.rejected == 0
    assert client.bulks == [3, 1]


async def test_while_some_are_taken_the_others_go_on() -> None:
    room = iter([201, 429] * 8)
    made, client, _ = store(lambda *_: {"status": next(room)})
    (outcome,) = await made.commit([some([str(number) for number in range(8)])])
    assert (outcome.rejected, outcome.repeated) == (0, False)
    assert len(client.bulks) > es_ingest._ATTEMPTS


async def test_a_request_that_had_no_room_as_a_whole_is_tried_again() -> None:
    made, client, _ = store(created)
    answered = client.bulk
    refusals = [Overloaded("too many bytes under way", retry_after_seconds=1)] * 2

    async def bulk(index: str, body: bytes, answer: str) -> Mapping[str, Any]:
        if refusals:
            raise refusals.pop()
        return await answered(index, body, answer)

    client.bulk = bulk  # type: ignore[method-assign]
    (outcome,) = await made.commit([some()])
    assert outcome.rejected == 0
    assert client.bulks == [3]


async def test_no_room_for_long_is_backpressure() -> None:
    made, _, _ = store(lambda *_: {"status": 429})
    with pytest.raises(Overloaded) as raised:
        await made.commit([some()])
    assert raised.value.retry_after_seconds > 0


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, "exception"), (404, "index_not_found_exception"), (400, "index_closed_exception"), (400, "validation_exception")],
)
async def test_any_other_failure_is_not_acknowledged(status: int, kind: str) -> None:
    made, _, _ = store(lambda *_: {"status": status, "error": {"type": kind, "reason": "disk broke"}})
    with pytest.raises(Unavailable, match="disk broke"):
        await made.commit([some()])


async def test_a_bulk_request_that_is_too_large_is_halved() -> None:
    made, client, noted = store(created)
    take = client.bulk

    async def bulk(index: str, body: bytes, answer: str) -> Mapping[str, Any]:
        if b'"d"' in body:
            raise InvalidArgument("too large")
        return await take(index, body, answer)

    client.bulk = bulk  # type: ignore[method-assign]
    (outcome,) = await made.commit([some(("a", "b", "c", "d", "e"))])
    assert outcome.rejected == 1
    assert "too large" in outcome.message
    assert sum(client.bulks) == 4
    assert [each.items for each in noted.requests[0].batch.rejections] == [1]


async def test_requests_are_sent_in_bounded_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(es_ingest, "BULK_DOCUMENTS", 100)
    made, client, _ = store(created)
    await made.commit([some([f"n{place}" for place in range(250)])])
    assert client.bulks == [100, 100, 50]
    monkeypatch.setattr(es_ingest, "BULK_BYTES", 1000)
    client.bulks.clear()
    await made.commit([some(["x" * 5000, "y"])])
    assert client.bulks == [1, 1]
