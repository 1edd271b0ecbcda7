"""Column batches to the lines of a bulk request: one action and one document a record, written as bytes.

Nearly every record goes the short way: its attributes are in the document as they are in the batch. What an index would cut or refuse goes
the careful way: shortened in the fields that are searched, exact in ``tidegauge.exact``, which is never looked into.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson

from tidegauge.model.batch import LogBatch, ResourceEntry, ScopeEntry
from tidegauge.model.query import SEARCHED_BYTES, searched_part
from tidegauge.model.text_search import SEARCHED_CHARACTERS, words
from tidegauge.storage.interface import IngestRequest

# A run of characters this long may be a word that is too long to be found; shorter ones never are.
_LONG_RUN = 683
_LONG_RUNS = re.compile(rf"[0-9A-Za-z\x80-\U0010ffff]{{{_LONG_RUN},}}")
_SHORT_TEXT = SEARCHED_BYTES // 4
_MAX_FLAT_KEY = 500
NO_ATTRIBUTES = b"{}"
_TAIL = b"}}\n"


@dataclass(frozen=True, slots=True)
class Stream:
    """The data stream that records go to: ``logs-<dataset>.otel-<namespace>``."""

    dataset: str
    namespace: str

    @property
    def name(self) -> str:
        """Its name."""
        return f"logs-{self.dataset}.otel-{self.namespace}"

    @property
    def fields(self) -> bytes:
        """What every document says of it."""
        return b'"data_stream":' + orjson.dumps({"type": "logs", "dataset": f"{self.dataset}.otel", "namespace": self.namespace})


def lines(request: IngestRequest, stream: Stream) -> list[bytes]:
    """Action and document of each record of a request of logs."""
    batch = request.batch
    assert isinstance(batch, LogBatch)
    prefix, digest = _id_prefix(request), request.digest.hex.encode()
    received, common = request.received_at_unix_nano, stream.fields
    tidegauge = b',"tidegauge":{"tenant_id":%d,"request_digest":"%b","ordinal":' % (request.tenant_id, digest)
    dumps, terms = orjson.dumps, attribute_terms
    texts = _Texts()
    out: list[bytes] = []
    resource = scope = -1
    origin = origin_exact = b""
    for (
        row, time, observed, ordinal, severity, severity_text, event_name, body, attributes, trace_id, span_id, flags, dropped, original,
        new_resource, new_scope,
    ) in zip(
        range(len(batch)), batch.time_unix_nano, batch.observed_time_unix_nano, batch.ordinal, batch.severity_number, batch.severity_text,
        batch.event_name, batch.body, batch.attributes, batch.trace_id, batch.span_id, batch.flags, batch.dropped_attributes_count,
        batch.original, batch.resource, batch.scope, strict=True,
    ):  # fmt: skip
        if new_scope != scope or new_resource != resource:
            resource, scope = new_resource, new_scope
            origin, origin_exact = _origin(batch.resources[resource], batch.scopes[scope])
        if origin_exact or original is not None or not _is_plain(body, attributes, event_name, severity_text):
            out.append(_careful(request, row, common))
            continue
        effective = time or observed or received
        tail = _TAIL
        if not time:
            tail = b',"time_source":%d%b' % (1 if observed else 2, tail)
        out.append(
            b'{"create":{"_id":"%b%d"}}\n{"@timestamp":"%d.%06d",%b%b,"severity_number":%d%b%b%b%b%b%b%b,'
            b'"attributes":%b%b%b%d,"attributes":%b%b'
            % (
                prefix, ordinal, effective // 1_000_000, effective % 1_000_000, common, _observed(observed), severity,
                texts[severity_text], b"" if not event_name else b',"event_name":' + dumps(event_name),
                b"" if body is None else b',"body":{"text":' + dumps(body) + b"}",
                b"" if trace_id is None else b',"trace_id":"' + trace_id.hex().encode() + b'"',
                b"" if span_id is None else b',"span_id":"' + span_id.hex().encode() + b'"',
                b"" if not flags else b',"trace_flags":%d' % flags,
                b"" if not dropped else b',"dropped_attributes_count":%d' % dropped,
                attributes, origin, tidegauge, ordinal,
                b"[]" if attributes == NO_ATTRIBUTES else dumps(terms(orjson.loads(attributes))), tail,
            )
        )  # fmt: skip
    return out


def careful_line(request: IngestRequest, row: int, stream: Stream) -> bytes:
    """Action and document of a record whose short document was refused: nothing but what every index takes is in searched fields."""
    return _careful(request, row, stream.fields, flat=True)


def _is_plain(body: str | None, attributes: bytes, event_name: str, severity_text: str) -> bool:
    if len(attributes) > SEARCHED_BYTES or len(event_name) > _SHORT_TEXT or len(severity_text) > _SHORT_TEXT:
        return False
    return body is None or len(body) < _LONG_RUN or (len(body) <= SEARCHED_CHARACTERS and _LONG_RUNS.search(body) is None)


def log_id(request: IngestRequest, ordinal: int) -> str:
    """The ``_id`` of a record: of its request and its place in it, never of its content."""
    return f"{_id_prefix(request).decode()}{ordinal}"


def _id_prefix(request: IngestRequest) -> bytes:
    tenant = b"%d." % request.tenant_id if request.tenant_id else b""
    return b"%b%b-" % (tenant, request.digest.hex.encode())


def _observed(nanoseconds: int) -> bytes:
    return b',"observed_timestamp":"%d.%06d"' % divmod(nanoseconds, 1_000_000) if nanoseconds else b""


class _Texts(dict[str, bytes]):
    """Severities as members of a document: there are few."""

    def __missing__(self, text: str) -> bytes:
        encoded = self[text] = b',"severity_text":' + orjson.dumps(text) if text else b""
        return encoded


def attribute_terms(attributes: dict[str, Any]) -> list[str]:
    """What a record is found by: of each of its own attributes the key and, of a scalar, its value as text and, if it is no string, typed.

    ``key``, ``key NUL t text``, ``key NUL n number`` and ``key NUL b true``: no NUL is in any attribute here.
    """
    out: list[str] = []
    for key, value in attributes.items():
        name = key if len(key) <= _SHORT_TEXT else searched_part(key)
        out.append(name)
        kind = type(value)
        if kind is str:
            out.append(f"{name}\0t{value if len(value) <= _SHORT_TEXT else searched_part(value)}")
        elif kind is bool:
            out += (f"{name}\0t{'true' if value else 'false'}", f"{name}\0b{'true' if value else 'false'}")
        elif kind is int or kind is float:
            out += (f"{name}\0t{number_text(value)}", f"{name}\0n{number(value)}")
    return out


@lru_cache(1024)
def number_text(value: int | float) -> str:
    """A number as it stands in JSON, without an exponent: as PostgreSQL shows it, which knows no -0."""
    return str(value) if isinstance(value, int) else format(Decimal(repr(value or 0.0)), "f")


@lru_cache(1024)
def number(value: int | float) -> str:
    """The same text for equal numbers: 1 and 1.0."""
    text = number_text(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _origin(resource: ResourceEntry, scope: ScopeEntry) -> tuple[bytes, bytes]:
    """What documents say of their resource and scope; the second is not empty where an index would not take it so."""
    exact = _origin_exact(resource, scope)
    members: dict[str, dict[str, Any]] = {
        "resource": {"schema_url": resource.schema_url, "dropped_attributes_count": resource.dropped_attributes_count},
        "scope": {
            "name": searched_part(scope.name),
            "version": searched_part(scope.version),
            "schema_url": scope.schema_url,
            "dropped_attributes_count": scope.dropped_attributes_count,
        },
        "service": {"name": resource.service_name, "namespace": resource.service_namespace, "environment": resource.environment},
    }
    found = {name: {key: value for key, value in parts.items() if value} for name, parts in members.items()}
    head, scope_head = orjson.dumps(found["resource"]), orjson.dumps(found["scope"])
    text = b',"resource":%b,"scope":%b,"service":%b' % (
        _with_attributes(head, resource.attributes),
        _with_attributes(scope_head, scope.attributes),
        orjson.dumps(found["service"]),
    )
    return text, exact


def _with_attributes(members: bytes, attributes: bytes) -> bytes:
    if attributes == NO_ATTRIBUTES:
        return members
    return members[:-1] + (b"," if len(members) > 2 else b"") + b'"attributes":' + attributes + b"}"


def _origin_exact(resource: ResourceEntry, scope: ScopeEntry) -> bytes:
    parts = _exact_origin(resource, scope, flat=False)
    return orjson.dumps(parts) if parts else b""


def _exact_origin(resource: ResourceEntry, scope: ScopeEntry, *, flat: bool) -> dict[str, str]:
    """What of a resource and a scope the searched fields do not hold."""
    parts: dict[str, str] = {}
    if resource.original is not None:
        parts["resource"] = b64encode(resource.original).decode()
    if scope.original is not None:
        parts["scope"] = b64encode(scope.original).decode()
    if flat or len(resource.attributes) > SEARCHED_BYTES:
        parts["resource_attributes"] = resource.attributes.decode()
    if flat or len(scope.attributes) > SEARCHED_BYTES:
        parts["scope_attributes"] = scope.attributes.decode()
    names = {"scope_name": scope.name, "scope_version": scope.version}
    return parts | {name: value for name, value in names.items() if len(value) > _SHORT_TEXT}


def _careful(request: IngestRequest, row: int, common: bytes, *, flat: bool = False) -> bytes:
    """A record's action and document with ``tidegauge.exact``. ``flat``: no value deeper than an attribute itself is searched."""
    batch = request.batch
    assert isinstance(batch, LogBatch)
    resource, scope = batch.resources[batch.resource[row]], batch.scopes[batch.scope[row]]
    exact: dict[str, str] = _exact_origin(resource, scope, flat=flat)
    parsed = orjson.loads(batch.attributes[row])
    document: dict[str, Any] = {"severity_number": batch.severity_number[row]}
    for name, value in (("severity_text", batch.severity_text[row]), ("event_name", batch.event_name[row])):
        if value:
            document[name] = searched_part(value)
            if len(value) > _SHORT_TEXT:
                exact[name] = value
    body = batch.body[row]
    if body is not None:
        document["body"] = {"text": body if _is_plain(body, b"", "", "") else " ".join(words(body[:SEARCHED_CHARACTERS]))}
        if document["body"]["text"] != body:
            exact["body"] = body
    if flat or len(batch.attributes[row]) > SEARCHED_BYTES:
        exact["attributes"] = batch.attributes[row].decode()
    ids = (("trace_id", batch.trace_id[row]), ("span_id", batch.span_id[row]))
    document |= {name: value.hex() for name, value in ids if value is not None}
    counts = (("trace_flags", batch.flags[row]), ("dropped_attributes_count", batch.dropped_attributes_count[row]))
    document |= {name: value for name, value in counts if value}
    if (original := batch.original[row]) is not None:
        exact["original"] = b64encode(original).decode()
    document["attributes"] = _searched(parsed, flat=flat)
    document |= orjson.loads(b"{" + _origin(resource, scope)[0][1:] + b"}")
    for name, entry in (("resource", resource), ("scope", scope)):
        document[name]["attributes"] = _searched(orjson.loads(entry.attributes), flat=flat)
    time, observed, ordinal = batch.time_unix_nano[row], batch.observed_time_unix_nano[row], batch.ordinal[row]
    document["tidegauge"] = {
        "tenant_id": request.tenant_id,
        "request_digest": request.digest.hex,
        "ordinal": ordinal,
        "attributes": attribute_terms(parsed),
        **({} if time else {"time_source": 1 if observed else 2}),
        **({"exact": exact} if exact else {}),
    }
    head = b'{"create":{"_id":"%b%d"}}\n{"@timestamp":"%d.%06d",%b%b,' % (
        _id_prefix(request),
        ordinal,
        *divmod(time or observed or request.received_at_unix_nano, 1_000_000),
        common,
        _observed(observed),
    )
    return head + orjson.dumps(document)[1:] + b"\n"


def _searched(attributes: dict[str, Any], *, flat: bool) -> dict[str, Any]:
    """Attributes as a flattened field takes them."""
    if flat:
        scalars = ((key, value) for key, value in attributes.items() if isinstance(value, (str, int, float)))
        return {key: _shortened(value) for key, value in scalars if key and len(key) <= _MAX_FLAT_KEY}
    return {key: _shortened(value) for key, value in attributes.items()}


def _shortened(value: Any) -> Any:
    match value:
        case str():
            return value if len(value) <= _SHORT_TEXT else searched_part(value)
        case list():
            return [_shortened(each) for each in value]
        case dict():
            return {key: _shortened(each) for key, each in value.items()}
        case _:
            return value


def chunks(sizes: Sequence[int], limit: int, most: int) -> Iterator[slice]:
    """Slices of at most ``limit`` bytes and ``most`` lines, but for a line that is longer by itself."""
    start = total = 0
    for place, size in enumerate(sizes):
        if place > start and (total + size > limit or place - start >= most):
            yield slice(start, place)
            start, total = place, 0
        total += size
    if start < len(sizes):
        yield slice(start, len(sizes))
