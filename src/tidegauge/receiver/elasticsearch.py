"""As much of Elasticsearch's API as log shippers ask for: ``_bulk``, and what they look at before.

https://www.elastic.co/docs/api/doc/elasticsearch/group/endpoint-document. Documents are stored as log records; nothing can be read here.
"""

from __future__ import annotations

import re
import time
from typing import Any

import orjson

from tidegauge.errors import InvalidArgument, NotFound, TidegaugeError, UnsupportedMediaType
from tidegauge.logforms.bulk import Action, Bulk
from tidegauge.logforms.reading import Fault
from tidegauge.receiver.log_intake import Headers, Intake, Receive, Scope, Send, Stored, answer, error_headers, media_type, method_is

PREFIX = "/elasticsearch"
ENDPOINT = "/_bulk"
_BULK = re.compile(r"(?:/([^/_][^/]{0,254}))?/_bulk/?\Z")
_CLUSTER = "tidegauge"
_VERSION = "8.19.0"
_VENDOR = "application/vnd.elasticsearch+json"
_BODIES = frozenset(
    {"application/x-ndjson", "application/json", "application/vnd.elasticsearch+x-ndjson", "application/vnd.elasticsearch+json"}
)
# What official clients look for before they believe that they talk to Elasticsearch.
_PRODUCT = (b"x-elastic-product", b"Elasticsearch")
_TYPES = {
    400: "illegal_argument_exception",
    401: "security_exception",
    404: "resource_not_found_exception",
    406: "media_type_header_exception",
    408: "receive_timeout_transport_exception",
    413: "too_long_http_content_exception",
    429: "es_rejected_execution_exception",
    503: "unavailable_shards_exception",
}
_INFO = {
    "name": _CLUSTER,
    "cluster_name": _CLUSTER,
    "cluster_uuid": "dGlkZWdhdWdlLWNsdXN0ZQ",
    "version": {
        "number": _VERSION,
        "build_flavor": "default",
        "build_type": "tar",
        "build_hash": "0" * 40,
        "build_date": "2025-07-23T22:05:57.788668251Z",
        "build_snapshot": False,
        "lucene_version": "9.12.1",
        "minimum_wire_compatibility_version": "7.17.0",
        "minimum_index_compatibility_version": "7.0.0",
    },
    "tagline": "You Know, for Search",
}
_LICENSE = {
    "license": {
        "status": "active",
        "uid": "00000000-0000-0000-0000-000000000000",
        "type": "basic",
        "issue_date": "2025-01-01T00:00:00.000Z",
        "issue_date_in_millis": 1_735_689_600_000,
        "max_nodes": 1000,
        "max_resource_units": None,
        "issued_to": _CLUSTER,
        "issuer": "elasticsearch",
        "start_date_in_millis": -1,
    }
}


class Elasticsearch:
    """The endpoints, below whatever prefix they are asked for."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def __call__(self, path: str, scope: Scope, headers: Headers, receive: Receive, send: Send, *, ready: bool) -> None:
        """One request to ``path``, which begins with a slash. ``ready``: whether logs can be stored at the moment."""
        if found := _BULK.match(path):
            method_is(scope, "POST", "PUT")
            body = await self._bulk(found[1] or "", headers, receive)
        else:
            body = _page(path, ready=ready)
            method_is(scope, "GET", "HEAD")
        content = b"" if scope["method"] == "HEAD" else orjson.dumps(body)
        await answer(send, 200, _accepted(headers), content, [_PRODUCT])

    async def _bulk(self, index: str, headers: Headers, receive: Receive) -> dict[str, Any]:
        type_ = media_type(headers)
        if type_ not in _BODIES:
            raise UnsupportedMediaType(f"Content-Type header [{type_[:100]}] is not supported")
        began = time.monotonic()
        bulk = Bulk(index)
        stored = await self._intake.store(ENDPOINT, headers, receive, bulk.parse, again=index)
        return _result(bulk.actions, stored, round((time.monotonic() - began) * 1000))


def is_elasticsearch(path: str) -> bool:
    """Whether a path, without prefix, is one of these."""
    return path in ("/", "/_cluster/health", "/_license", "/_xpack") or _BULK.match(path) is not None


def error_of(error: TidegaugeError, headers: Headers) -> tuple[int, str, bytes, list[tuple[bytes, bytes]]]:
    """An error as Elasticsearch says it: status, media type, body, headers."""
    status = 406 if isinstance(error, UnsupportedMediaType) else error.http_status
    kind = "parse_exception" if isinstance(error, InvalidArgument) else _TYPES.get(status, "exception")
    cause = {"type": kind, "reason": str(error)}
    content = {"error": {"root_cause": [cause], **cause}, "status": status}
    return status, _accepted(headers), orjson.dumps(content), [_PRODUCT, *error_headers(error)]


def _page(path: str, *, ready: bool) -> dict[str, Any]:
    match path:
        case "/" | "":
            return _INFO
        case "/_cluster/health":
            return _health(ready=ready)
        case "/_license":
            return _LICENSE
        case "/_xpack":
            return {"license": _LICENSE["license"], "features": {}, "tagline": _INFO["tagline"]}
    raise NotFound(f"no handler found for uri [{path[:200]}]", hint="of Elasticsearch's API there is _bulk for logs")


def _health(*, ready: bool) -> dict[str, Any]:
    nothing = ("relocating_shards", "initializing_shards", "unassigned_shards", "delayed_unassigned_shards", "number_of_pending_tasks")
    return {
        "cluster_name": _CLUSTER,
        "status": "green" if ready else "red",
        "timed_out": False,
        **dict.fromkeys(("number_of_nodes", "number_of_data_nodes", "active_primary_shards", "active_shards"), 1),
        **dict.fromkeys((*nothing, "number_of_in_flight_fetch", "task_max_waiting_in_queue_millis"), 0),
        "active_shards_percent_as_number": 100.0,
    }


def _result(actions: list[Action], stored: Stored, took: int) -> dict[str, Any]:
    """The answer to a bulk request; each item's, in order."""
    faults = {fault.place: fault for fault in stored.faults}
    # Of a resend it may not be known which items were refused: then none is said to be stored that may not be.
    items = [
        {action.name: _item(action, f"{stored.digest.hex}-{place}", faults.get(place), stored)} for place, action in enumerate(actions)
    ]
    # In Elasticsearch's order: Fluent Bit looks for `"errors":false,"items":[` where an answer is longer than its buffer.
    return {"took": took, "errors": bool(faults or stored.untold), "items": items}


def _item(action: Action, log_id: str, fault: Fault | None, stored: Stored) -> dict[str, Any]:
    named = {"_index": action.into or "logs", "_id": action.id or log_id}
    if fault is None and stored.untold:
        fault = Fault(
            0, "refused_by_store", f"{stored.untold} of the request's documents were refused, maybe this one: {stored.outcome.message}"
        )
    if fault is not None:
        kind = "document_parsing_exception" if fault.reason == "malformed_item" else "illegal_argument_exception"
        return {**named, "status": 400, "error": {"type": kind, "reason": f"{fault.reason}: {fault.message}"}}
    done = {"_version": 1, "result": "created", "_shards": {"total": 1, "successful": 1, "failed": 0}, "_seq_no": 0, "_primary_term": 1}
    return {**named, **done, "status": 201}


def _accepted(headers: Headers) -> str:
    """Clients of version 8 and later ask for a media type of the vendor's, and say which version they mean."""
    accept = headers.get(b"accept", b"").decode("latin-1")
    found = re.search(r"application/vnd\.elasticsearch\+json\s*;\s*compatible-with=([0-9])", accept)
    return f"{_VENDOR};compatible-with={found[1]}" if found else "application/json"
