"""Samples as people read them."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tidegauge.model.samples import SAMPLE_BYTES, fitted
from tidegauge.otlp.samples import shown


def span(attributes: int) -> Span:
    message = Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="GET /cart", kind=Span.SPAN_KIND_SERVER)
    for number in range(attributes):
        message.attributes.add(key=f"key{number}").value.string_value = "v" * 100
    return message


def test_a_message_is_otlp_json() -> None:
    found = shown(span(1).SerializeToString(), "Span", SAMPLE_BYTES)
    assert (found.format, found.message, found.is_whole) == ("otlp_json", "Span", True)
    assert found.value == {
        "traceId": "74" * 16,
        "spanId": "73" * 8,
        "name": "GET /cart",
        "kind": 2,
        "attributes": [{"key": "key0", "value": {"stringValue": "v" * 100}}],
    }


def test_a_message_that_was_cut_is_shown_as_far_as_it_goes() -> None:
    whole = span(100).SerializeToString()
    for end in range(SAMPLE_BYTES - 150, SAMPLE_BYTES + 1):
        found = shown(whole[:end], "Span", end)
        assert (found.format, found.is_whole) == ("otlp_json", False)
        assert isinstance(found.value, dict)
        assert found.value["traceId"] == "74" * 16
        assert len(found.value["attributes"]) >= 30


def test_strings_that_are_not_utf8_are_shown_with_replacements() -> None:
    found = shown(span(0).SerializeToString().replace(b"GET /cart", b"GET \xff\xfe\xfdrt"), "Span", SAMPLE_BYTES)
    assert isinstance(found.value, dict)
    assert found.value["name"].startswith("GET \ufffd")


@pytest.mark.parametrize("sample", [b"\xff\xff\xff", b"", b"\x0a"])
@pytest.mark.parametrize("type_", ["Span", "Nonsense", ""])
def test_what_cannot_be_read_is_shown_all_the_same(sample: bytes, type_: str) -> None:
    assert shown(sample, type_, SAMPLE_BYTES).format in ("base64", "otlp_json")


@pytest.mark.parametrize(("sample", "format_"), [(b'{"a":[1,2]}', "json"), (b'{"a":[1,', "text"), (b"\xff", "text")])
def test_json_that_cannot_be_read_is_text(sample: bytes, format_: str) -> None:
    assert shown(sample, "json", SAMPLE_BYTES).format == format_


@pytest.mark.parametrize(
    "value",
    [
        {"a": "x" * 10_000},
        {"a": ["y" * 100] * 1000},
        {f"k{number}": "v" * 50 for number in range(1000)},
        {"deep": [[["z" * 30] * 30] * 30] * 30},
        {"surrogate": "\ud800" * 5000},
    ],
)
def test_a_sample_of_columns_is_small_and_still_json(value: object) -> None:
    text = fitted(value)
    assert len(text) <= SAMPLE_BYTES
    json.loads(text)


def test_what_fits_is_not_cut() -> None:
    assert json.loads(fitted({"a": "x" * 3000, "b": list(range(100))})) == {"a": "x" * 3000, "b": list(range(100))}
