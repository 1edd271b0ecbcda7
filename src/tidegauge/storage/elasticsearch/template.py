"""The index template of the data stream, in the shape that OpenTelemetry's exporters and Elastic's own templates give logs.

Names of fields: OpenTelemetry's data model for logs as Elasticsearch's ``logs-otel@template`` has them (``@timestamp``, ``body.text``,
``severity_text``, ``resource.attributes`` …), with ECS's names as aliases (``message``, ``log.level``, ``trace.id`` …). What is ours alone
stands in ``tidegauge``. The mapping is closed (``dynamic: false``) and attributes are ``flattened``: no record can add a field to it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tidegauge.model.query import SEARCHED_BYTES
from tidegauge.storage.elasticsearch.words import ANALYSIS, ANALYZER

# Raised with every change of what follows: a stream made by an older one gets a new backing index.
REVISION = 1
# Elastic's own templates for logs have 100 and 120.
PRIORITY = 500
_SECONDS_A_DAY = 86_400

_KEYWORD = {"type": "keyword", "ignore_above": SEARCHED_BYTES}
_KEPT = {"type": "keyword", "index": False, "doc_values": False}
_COUNT = {"type": "long", "index": False, "doc_values": False}
_FLATTENED = {"type": "flattened", "ignore_above": SEARCHED_BYTES}
_FLATTENED_UNSEARCHED = {"type": "flattened", "index": False, "doc_values": False}


def _fields(**fields: Any) -> dict[str, Any]:
    return {"properties": fields}


def _alias(path: str) -> dict[str, Any]:
    return {"type": "alias", "path": path}


def mappings() -> dict[str, Any]:
    """The mapping; what a document holds beyond it is kept in ``_source`` alone."""
    return {
        "dynamic": False,
        "date_detection": False,
        "_meta": {"product": "tidegauge", "revision": REVISION},
        "properties": {
            "@timestamp": {"type": "date_nanos"},
            "observed_timestamp": {"type": "date_nanos"},
            "data_stream": _fields(type=_KEYWORD, dataset=_KEYWORD, namespace=_KEYWORD),
            "severity_number": {"type": "short"},
            "severity_text": _KEYWORD,
            "event_name": _KEYWORD,
            "trace_id": _KEYWORD,
            "span_id": _KEYWORD,
            "trace_flags": _COUNT,
            "body": _fields(text={"type": "text", "analyzer": ANALYZER, "norms": False}),
            "attributes": _FLATTENED,
            "dropped_attributes_count": _COUNT,
            "resource": _fields(attributes=_FLATTENED, schema_url=_KEPT, dropped_attributes_count=_COUNT),
            "scope": _fields(
                name=_KEYWORD, version=_KEYWORD, schema_url=_KEPT, attributes=_FLATTENED_UNSEARCHED, dropped_attributes_count=_COUNT
            ),
            "service": _fields(name=_KEYWORD, namespace=_KEYWORD, environment=_KEYWORD),
            "message": _alias("body.text"),
            "log": _fields(level=_alias("severity_text")),
            "trace": _fields(id=_alias("trace_id")),
            "span": _fields(id=_alias("span_id")),
            "tidegauge": _fields(
                tenant_id={"type": "short"},
                request_digest={"type": "keyword"},
                ordinal={"type": "integer"},
                attributes={"type": "keyword"},
                exact={"type": "object", "enabled": False},
            ),
        },
    }


def template(stream: str, retention: timedelta) -> dict[str, Any]:
    """The body of PUT _index_template for a data stream.

    A record is durable when it is acknowledged (the translog is written to disk with every request) and found a second later.
    """
    return {
        "index_patterns": [stream],
        "data_stream": {},
        "priority": PRIORITY,
        "_meta": {"product": "tidegauge", "revision": REVISION},
        "template": {
            "settings": {
                "index": {
                    "number_of_shards": 1,
                    "auto_expand_replicas": "0-1",
                    "codec": "best_compression",
                    "refresh_interval": "1s",
                    "translog": {"durability": "request"},
                    "analysis": ANALYSIS,
                }
            },
            "mappings": mappings(),
            "lifecycle": {"data_retention": lifecycle_retention(retention)},
        },
    }


def lifecycle_retention(retention: timedelta) -> str:
    """A retention as data stream lifecycle writes it."""
    seconds = round(retention.total_seconds())
    return f"{seconds // _SECONDS_A_DAY}d" if seconds % _SECONDS_A_DAY == 0 else f"{seconds}s"
