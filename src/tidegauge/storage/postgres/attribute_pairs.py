"""Spans to pieces of the attribute index: the hashes of what attributes they have, by application and hour.

What is compiled (``_attribute_pairs.pyx``) gives the same; ``compiled=False`` is for comparing the two.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from tidegauge.compiled import module as compiled_module
from tidegauge.model.batch import SpanBatch
from tidegauge.storage.postgres.attribute_hashes import finalised, key_hash, packed, pair_hash
from tidegauge.storage.postgres.reading import timestamp

Signature = tuple[int, int]
"""Of an application, a number that tells its sets of keys and types apart."""
SpanKey = tuple[bool, bytes, int]
"""Whether it is an event's, the key as JSON without quotes, and bits of its types."""
_HOUR_NS = 3_600_000_000_000
_SPANS = 2048
TYPES: dict[type, int] = {str: 1, int: 2, float: 4, bool: 8, list: 16, dict: 32, type(None): 64}
"""Bits of the types of what JSON has, as ``tidegauge.attribute_keys`` keeps them."""
_SCALARS = (str, int, float)
_pairs = compiled_module("tidegauge.storage.postgres._attribute_pairs")


@dataclass(frozen=True, slots=True)
class Piece:
    """What is known of the attributes of some spans.

    Attributes:
        application_id: theirs.
        start_ns, end_ns: the first and the last start time; within one hour.
        span_count: how many there are.
        hashes: packed (``attribute_hashes``); None where nothing is known.
        signature: of the keys and their types.
        keys: these, where the signature was not known.

    """

    application_id: int
    start_ns: int
    end_ns: int
    span_count: int
    hashes: bytes | None
    signature: int
    keys: Sequence[SpanKey] | None


def pieces(batch: SpanBatch, applications: Sequence[int], known: Container[Signature] = (), *, compiled: bool = True) -> Sequence[Piece]:
    """A batch's spans in pieces of at most 2048; ``applications`` are those of its resources, ``known`` the signatures known already."""
    if compiled and _pairs is not None:
        return [
            Piece(*one)
            for one in _pairs.pieces(batch.attributes, batch.events, batch.start_time_unix_nano, batch.resource, list(applications), known)
        ]
    rows: dict[tuple[int, int], list[int]] = {}
    for row, (resource, start) in enumerate(zip(batch.resource, batch.start_time_unix_nano, strict=True)):
        rows.setdefault((applications[resource], start // _HOUR_NS), []).append(row)
    cut = [
        (application, of_hour[first : first + _SPANS])
        for (application, _), of_hour in rows.items()
        for first in range(0, len(of_hour), _SPANS)
    ]
    return [_piece(batch, application, chosen, known) for application, chosen in cut]


def columns(found: Iterable[tuple[int, Piece]], tenant_ids: Sequence[int]) -> dict[str, list[Any]]:
    """Rows of ``tidegauge.attribute_pieces`` as parameters; ``tenant_ids`` are those of the requests, by whose places the pieces come."""
    rows = list(found)
    return {
        "piece_place": [place + 1 for place, _ in rows],
        "piece_tenant_id": [tenant_ids[place] for place, _ in rows],
        "piece_start": [timestamp(piece.start_ns) for _, piece in rows],
        "piece_end": [timestamp(piece.end_ns) for _, piece in rows],
        "piece_application_id": [piece.application_id for _, piece in rows],
        "piece_spans": [piece.span_count for _, piece in rows],
        "piece_hashes": [piece.hashes for _, piece in rows],
    }


def _piece(batch: SpanBatch, application: int, rows: Sequence[int], known: Container[Signature]) -> Piece:
    starts = [batch.start_time_unix_nano[row] for row in rows]
    hashes: set[int] = set()
    keys: dict[tuple[bool, str], int] = {}
    readable = True
    try:
        spans = _objects([batch.attributes[row] for row in rows])
        events = chain.from_iterable(_objects([text for row in rows if (text := batch.events[row]) is not None]))
        of_events = [event["attributes"] for event in events if "attributes" in event]
        for of_event, objects in ((False, spans), (True, of_events)):
            for key, value in _distinct(objects):
                hashes.add(key_hash(key, of_event=of_event))
                if isinstance(value, _SCALARS):
                    hashes.add(pair_hash(key, value, of_event=of_event))
            for key, kind in {(key, type(value)) for one in objects for key, value in one.items()}:
                keys[of_event, key] = keys.get((of_event, key), 0) | TYPES[kind]
    except (ValueError, TypeError, AttributeError):
        readable = False
    told = sorted([(of_event, orjson.dumps(key)[1:-1], types) for (of_event, key), types in keys.items()])
    signature = sum(_signed(key_hash(key, of_event=of_event), types, of_event) for (of_event, key), types in keys.items()) % (1 << 64)
    return Piece(
        application, min(starts), max(starts), len(rows), packed(hashes) if readable else None, signature,
        None if (application, signature) in known else told,
    )  # fmt: skip


def _objects(texts: Sequence[bytes]) -> list[Any]:
    found: list[Any] = orjson.loads(b"[%b]" % b",".join(texts))
    return found


def _distinct(objects: Iterable[dict[str, Any]]) -> Iterable[tuple[str, Any]]:
    """Pairs, each once as far as that is cheap. That 1, 1.0 and true are one in a set is as hashes have it."""
    try:
        return set(chain.from_iterable([one.items() for one in objects]))
    except TypeError:
        return {(key, value if isinstance(value, _SCALARS) else None) for one in objects for key, value in one.items()}


def _signed(crc: int, types: int, of_event: bool) -> int:
    return finalised(crc, types | of_event << 8)
