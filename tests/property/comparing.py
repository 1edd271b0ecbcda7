"""The product's batch of a request against the reference's rows."""

from __future__ import annotations

from typing import Any

from tests.decoders import Decoder
from tests.reference import batches
from tests.reference.items import Expected
from tests.reference.requests import Unreadable, from_json, from_protobuf
from tidegauge.errors import InvalidArgument
from tidegauge.model.batch import MetricBatch, Signal
from tidegauge.otlp.encoding import Encoding

SIGNALS = {"traces": Signal.TRACES, "metrics": Signal.METRICS, "logs": Signal.LOGS}
ENCODINGS = {Encoding.PROTOBUF: from_protobuf, Encoding.JSON: from_json}


def check(decoder: Decoder, signal: str, body: bytes, encoding: Encoding = Encoding.PROTOBUF) -> Any:
    """Assert that decoder and reference say the same of a body; the batch, or None where both cannot read it."""
    try:
        expected = ENCODINGS[encoding](signal, body)
    except Unreadable:
        expected = None
    try:
        batch = decoder.decode(SIGNALS[signal], body, encoding)
    except InvalidArgument:
        assert expected is None, "the decoder refuses what the reference reads"
        return None
    assert expected is not None, "the decoder reads what the reference refuses"
    same(batch, expected)
    return batch


def same(batch: Any, expected: Expected) -> None:
    """Assert that a batch holds what is expected."""
    for table, rows in batches.tables(batch).items():
        found = [batches.comparable(table, row) for row in rows]
        assert found == [batches.comparable(table, row) for row in expected.rows[table]], table
    assert len(batch) == sum(len(rows) for table, rows in expected.rows.items() if table != "exemplars")
    assert batches.rejected(batch) == expected.rejected
    # Counters are equal where one has a reason with 0 items and the other has not.
    assert set(batches.rejected(batch)) == set(expected.rejected)
    if isinstance(batch, MetricBatch):
        found = {key: batches.comparable("metadata", row) for key, row in batches.metadata(batch).items()}
        assert found == {key: batches.comparable("metadata", row) for key, row in expected.metadata.items()}
