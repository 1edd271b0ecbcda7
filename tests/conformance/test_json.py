"""OTLP in JSON: where it differs from protobuf's own mapping, and where it does not."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import Any

import pytest

from tests.conformance.conftest import Answer, Http
from tests.conformance.items import span
from tests.servers.product import Product


@pytest.fixture
def trace_id() -> str:
    return secrets.token_hex(16)


async def export(as_json: Http, trace_id: str, **fields: Any) -> Answer:
    """One span, with ``fields`` besides what it must have."""
    now = str(time.time_ns())
    whole = {"traceId": trace_id, "spanId": "00000000000000aB", "name": "n", "startTimeUnixNano": now, "endTimeUnixNano": now, **fields}
    return await as_json.send("traces", json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [whole]}]}]}).encode())


def complete(answer: Answer) -> bool:
    return answer.code == 200 and not answer.response.HasField("partial_success")


def attribute(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": "k", "value": value}]


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title], ids=["lower", "upper", "mixed"])
async def test_ids_are_hexadecimal_in_either_case(product: Product, as_json: Http, change: Any) -> None:
    trace_id = "5b8efff798038103d269b633" + secrets.token_hex(4)
    parent = "eee19b7ec3c1b174"
    link = {"traceId": change("ab" * 16), "spanId": change("cd" * 8)}
    answer = await export(as_json, change(trace_id), parentSpanId=change(parent), links=[link])
    assert complete(answer)
    found = await span(product, trace_id)
    assert (found["spanId"], found["parentSpanId"]) == ("00000000000000ab", parent)
    assert [found["links"][0][key] for key in ("traceId", "spanId")] == ["ab" * 16, "cd" * 8]


async def test_an_id_in_base64_is_not_an_id(as_json: Http) -> None:
    answer = await export(as_json, base64.b64encode(secrets.token_bytes(16)).decode())
    assert answer.response.partial_success.rejected_spans == 1


async def test_original_field_names_are_unknown_and_ignored(product: Product, as_json: Http, trace_id: str) -> None:
    answer = await export(as_json, trace_id, dropped_attributes_count=5, trace_state="a=b", droppedEventsCount=3)
    assert complete(answer)
    found = await span(product, trace_id)
    assert (found.get("droppedAttributesCount", 0), found.get("traceState", ""), found["droppedEventsCount"]) == (0, "", 3)


async def test_a_request_in_original_field_names_is_an_empty_one(as_json: Http) -> None:
    assert complete(await as_json.send("traces", b'{"resource_spans": [{"scope_spans": [{"spans": [{}]}]}]}'))


async def test_unknown_fields_are_ignored_at_every_depth(product: Product, as_json: Http, trace_id: str) -> None:
    now = str(time.time_ns())
    strange: dict[str, Any] = {"fromTheFuture": {"deep": [1, None, {"x": "y"}]}, "nothing": None, "TraceId": 7}
    whole = {"traceId": trace_id, "spanId": "0" * 15 + "1", "name": "n", "startTimeUnixNano": now, "endTimeUnixNano": now, **strange}
    whole["attributes"] = [{"key": "k", "value": {"stringValue": "v", **strange}, **strange}]
    whole["status"] = {"code": 1, **strange}
    scope = {"scope": {"name": "s", **strange}, "spans": [whole], **strange}
    body = {
        "resourceSpans": [{"resource": {"attributes": attribute({"stringValue": "r"}), **strange}, "scopeSpans": [scope], **strange}],
        **strange,
    }
    assert complete(await as_json.send("traces", json.dumps(body).encode()))
    found = await span(product, trace_id)
    assert (found["attributes"], found["status"]["code"]) == (attribute({"stringValue": "v"}), 1)
    assert (found["scope"]["name"], found["resource"]["attributes"]) == ("s", attribute({"stringValue": "r"}))


@pytest.mark.parametrize("kind", [str, int], ids=["string", "number"])
async def test_integers_of_64_bits_are_strings_or_numbers(product: Product, as_json: Http, trace_id: str, kind: Any) -> None:
    start = time.time_ns()
    answer = await export(
        as_json,
        trace_id,
        startTimeUnixNano=kind(start),
        endTimeUnixNano=kind(start + 1),
        attributes=attribute({"arrayValue": {"values": [{"intValue": kind(value)} for value in (2**63 - 1, -(2**63), 0)]}}),
    )
    assert complete(answer)
    found = await span(product, trace_id)
    assert (found["startTimeUnixNano"], found["endTimeUnixNano"]) == (str(start), str(start + 1))
    assert [value["intValue"] for value in found["attributes"][0]["value"]["arrayValue"]["values"]] == [str(2**63 - 1), str(-(2**63)), "0"]


async def test_enums_are_integers(product: Product, as_json: Http, trace_id: str) -> None:
    assert complete(await export(as_json, trace_id, kind=2, status={"code": 2}))
    found = await span(product, trace_id)
    assert (found["kind"], found["status"]["code"]) == (2, 2)


@pytest.mark.parametrize("fields", [{"kind": "SPAN_KIND_SERVER"}, {"status": {"code": "STATUS_CODE_ERROR"}}], ids=["kind", "status"])
async def test_names_of_enums_are_not_used(as_json: Http, trace_id: str, fields: dict[str, Any]) -> None:
    answer = await export(as_json, trace_id, **fields)
    assert answer.code == 200
    assert answer.response.partial_success.rejected_spans == 1
    assert "no enum names" in answer.response.partial_success.error_message


@pytest.mark.parametrize("text", ["-_8=", "+/8=", "+/8", "-_8"], ids=["URL", "standard", "standard, unpadded", "URL, unpadded"])
async def test_bytes_are_base64(product: Product, as_json: Http, trace_id: str, text: str) -> None:
    """Protobuf's JSON mapping: standard or URL-safe, with or without padding."""
    assert complete(await export(as_json, trace_id, attributes=attribute({"bytesValue": text})))
    assert (await span(product, trace_id))["attributes"] == attribute({"bytesValue": "+/8="})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"doubleValue": 1.5}, {"doubleValue": 1.5}),
        ({"doubleValue": 1}, {"doubleValue": 1.0}),
        ({"doubleValue": "NaN"}, {"doubleValue": "NaN"}),
        ({"doubleValue": "-Infinity"}, {"doubleValue": "-Infinity"}),
        ({"boolValue": False}, {"boolValue": False}),
        ({"stringValue": ""}, {"stringValue": ""}),
        ({"kvlistValue": {"values": attribute({"intValue": "1"})}}, {"kvlistValue": {"values": attribute({"intValue": "1"})}}),
        ({}, {}),
    ],
    ids=["double", "integral double", "NaN", "infinity", "false", "no text", "map", "nothing"],
)
async def test_values(product: Product, as_json: Http, trace_id: str, value: dict[str, Any], expected: dict[str, Any]) -> None:
    assert complete(await export(as_json, trace_id, attributes=attribute(value)))
    assert (await span(product, trace_id))["attributes"] == attribute(expected)


async def test_null_is_a_field_that_is_not_there(product: Product, as_json: Http, trace_id: str) -> None:
    assert complete(await export(as_json, trace_id, parentSpanId=None, kind=None, attributes=None, status=None))
    assert (await span(product, trace_id)).get("kind", 0) == 0


async def test_answers_are_json_of_protobuf(as_json: Http, trace_id: str) -> None:
    """Names in lowerCamelCase, integers of 64 bits as strings; nothing at all where nothing is to be said."""
    assert (await export(as_json, trace_id)).body == b"{}"
    rejected = json.loads((await export(as_json, trace_id, kind="SERVER")).body)
    assert set(rejected) == {"partialSuccess"}
    assert rejected["partialSuccess"]["rejectedSpans"] == "1"
    refused = json.loads((await as_json.send("traces", b"[")).body)
    assert refused["code"] == 3
    assert refused["message"]
