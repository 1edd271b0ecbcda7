"""Logs in other forms than OTLP, for any input: nothing is lost on the way, and the forms agree with each other."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.logforms.document import RequestContext
from tidegauge.logforms.json_logs import parse_json_logs
from tidegauge.logforms.loki import LokiReader, parse_labels
from tidegauge.logforms.reading import Reading, Records
from tidegauge.logforms.times import nanoseconds
from tidegauge.model.batch import LogBatch
from tidegauge.otlp.budget import Budget
from tidegauge.otlp.decode import Decoder

DECODER = Decoder()
READER = LokiReader()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(-1e15, 1e15).filter(lambda value: value != 0 or str(value) == "0.0")
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
# Names without a meaning of their own.
DOCUMENTS = st.dictionaries(TEXT.map(lambda text: f"x_{text}"), JSON, max_size=5)


def read(parse: Any, body: bytes) -> tuple[Reading, LogBatch]:
    reading = Reading(parse)
    batch = reading(DECODER, body, Budget(len(body)))
    assert isinstance(batch, LogBatch)
    return reading, batch


def json_logs(body: bytes, *, lines: bool = False) -> tuple[Reading, LogBatch]:
    def parse(raw: bytes, records: Records) -> None:
        parse_json_logs(raw, records, RequestContext(), lines=lines)

    return read(parse, body)


def without_nul(value: Any) -> Any:
    """As columns have it: NUL is U+FFFD there, and the original beside it."""
    return json.loads(json.dumps(value).replace("\\u0000", "\\ufffd"))


@given(st.integers(0, 2**63 - 1), st.integers(-23 * 60, 23 * 60))
def test_a_time_is_the_same_however_it_is_written(time_ns: int, offset_minutes: int) -> None:
    zone = timezone(timedelta(minutes=offset_minutes))
    moment = datetime.fromtimestamp(time_ns // 10**9, UTC).astimezone(zone)
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % 10**9:09}{moment:%z}"
    assert nanoseconds(text) == time_ns
    assert nanoseconds(f"{time_ns // 10**9}.{time_ns % 10**9:09}") == time_ns
    if time_ns >= 10**17:
        assert nanoseconds(time_ns) == nanoseconds(str(time_ns)) == time_ns


@given(st.integers(315_532_800, 4_102_444_800))
def test_a_number_tells_its_unit_by_its_size(seconds: int) -> None:
    """From 1980 to 2100."""
    assert {nanoseconds(seconds * factor) for factor in (1, 10**3, 10**6, 10**9)} == {seconds * 10**9}


@given(st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True), TEXT, max_size=5))
def test_labels_come_back_from_prometheus_notation(labels: dict[str, str]) -> None:
    # JSON's escapes are all Go's, but for the pairs of surrogates and the slash, which this does not write.
    text = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
    assert parse_labels("{" + text + "}") == labels


@given(st.lists(DOCUMENTS, min_size=1, max_size=4))
def test_documents_are_kept_whole_as_array_and_as_lines(documents: list[dict[str, Any]]) -> None:
    lines = b"\n".join(map(orjson.dumps, documents))
    for reading, batch in (json_logs(orjson.dumps(documents)), json_logs(lines, lines=True)):
        assert (reading.items, reading.faults(), batch.rejections) == (len(documents), [], [])
        assert [json.loads(attributes) for attributes in batch.attributes] == [without_nul(document) for document in documents]
        assert batch.ordinal == list(range(len(documents)))


@given(st.lists(DOCUMENTS | JSON, min_size=1, max_size=6))
def test_every_item_is_stored_or_named(items: list[Any]) -> None:
    reading, batch = json_logs(orjson.dumps(items))
    faults = [fault.place for fault in reading.faults()]
    assert sorted([*batch.ordinal, *faults]) == list(range(len(items))) == list(range(reading.items))
    assert faults == [place for place, item in enumerate(items) if not isinstance(item, dict)]
    assert sum(each.items for each in batch.rejections) == len(faults)


ENTRIES = st.lists(st.tuples(st.integers(0, 2**63 - 1), TEXT, st.dictionaries(TEXT, TEXT, max_size=3)), max_size=4)


@given(st.lists(st.tuples(st.dictionaries(st.sampled_from(["job", "level", "host"]), TEXT), ENTRIES), max_size=3))
def test_a_push_is_the_same_in_protobuf_and_json(streams: list[tuple[dict[str, str], list[tuple[int, str, dict[str, str]]]]]) -> None:
    message = READER._push()
    for labels, entries in streams:
        text = "{" + ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items()) + "}"
        stream = READER._stream(labels=text.encode())
        for time_ns, line, metadata in entries:
            entry = READER._entry(line=line.encode())
            entry.timestamp.seconds, entry.timestamp.nanos = divmod(time_ns, 10**9)
            for name, value in metadata.items():
                entry.metadata.add(name=name.encode(), value=value.encode())
            stream.entries.append(entry.SerializeToString())
        message.streams.append(stream.SerializeToString())
    document = {
        "streams": [
            {"stream": labels, "values": [[str(time_ns), line, metadata] for time_ns, line, metadata in entries]}
            for labels, entries in streams
        ]
    }
    _, by_protobuf = read(READER.parse_protobuf, message.SerializeToString())
    _, by_json = read(READER.parse_json, orjson.dumps(document))
    assert by_protobuf == by_json
    assert len(by_json) == sum(len(entries) for _, entries in streams)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parsers(body: bytes) -> None:
    """They are read, or refused by an error of ours."""
    from tidegauge.errors import RequestError
    from tidegauge.logforms.bulk import Bulk

    for parse in (READER.parse_protobuf, READER.parse_json, Bulk("").parse):
        try:
            reading, batch = read(parse, body)
        except RequestError:
            continue
        assert reading.items == len(batch) + len(reading.faults())
