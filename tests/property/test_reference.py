"""The reference itself: identities are those that the documentation gives; what is read of numbers is exact."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, EntityRef, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tests.reference.identity import encoded, resource_identity, scope_identity, series_identity
from tests.reference.values import Pairs

DOCUMENT = (Path(__file__).parents[2] / "docs/data-model.md").read_text(encoding="utf-8")


def table(name: str) -> list[str]:
    """Second column of a generated table."""
    _, _, after = DOCUMENT.partition(f"<!-- generated: {name} -->")
    found, _, _ = after.partition("<!-- end of")
    return re.findall(r"\| `([0-9a-f-]+)` \|$", found, re.MULTILINE)


def test_values() -> None:
    route = Pairs({"http.route": "/pay", "n": 1}.items())
    values = [None, True, 1, 1.0, -0.0, float("nan"), "1", b"1", ["a", 1], route, Pairs(reversed(route))]
    assert [encoded(value).hex() for value in values] == table("encoded values")


def test_identities() -> None:
    attributes = [KeyValue(key="service.name", value=AnyValue(string_value="checkout"))]
    plain = Resource(attributes=attributes)
    entity = EntityRef(type="service", id_keys=["service.name"])
    scope = scope_identity(InstrumentationScope(name="otel.asgi", version="0.50b0"), "")
    shape = {
        "metric_name": "http.server.request.duration",
        "type": "histogram",
        "unit": "s",
        "temporality": "cumulative",
        "is_monotonic": None,
        "bounds": (0.1, 1.0),
    }
    found = [
        resource_identity(Resource(), ""),
        resource_identity(plain, ""),
        resource_identity(plain, "https://opentelemetry.io/schemas/1.40.0"),
        resource_identity(Resource(attributes=attributes, dropped_attributes_count=1), ""),
        resource_identity(Resource(attributes=attributes, entity_refs=[entity]), ""),
        scope,
        series_identity(resource_identity(plain, ""), scope, shape, Pairs({"http.route": "/pay", "n": 1}.items())),
    ]
    assert [str(identity) for identity in found] == table("identities")


@given(st.floats(allow_nan=False))
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_bits_of_floats(value: float) -> None:
    assert encoded(value) == b"\x03" + struct.pack(">d", value)
