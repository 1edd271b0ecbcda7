"""Documents of the data stream to the records that a store returns."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import orjson

from tidegauge.model.records import Application, StoredLog, StoredResource, StoredScope

_FROM_TIME = 0


class Reader:
    """Reads the documents of one answer. Equal resources and scopes become one object, which is restored and answered once.

    They are compared by their JSON text: as Python's objects 1, 1.0 and true were equal.
    """

    def __init__(self) -> None:
        self._resources: dict[bytes, StoredResource] = {}
        self._scopes: dict[bytes, StoredScope] = {}

    def log(self, source: Mapping[str, Any]) -> StoredLog:
        """A record."""
        own = source["tidegauge"]
        exact: Mapping[str, str] = own.get("exact", {})
        timestamp = _nanoseconds(source["@timestamp"])
        original = exact.get("original")
        return StoredLog(
            log_id=f"{own['request_digest']}-{own['ordinal']}",
            timestamp_unix_nano=timestamp,
            time_unix_nano=timestamp if own.get("time_source", _FROM_TIME) == _FROM_TIME else 0,
            observed_time_unix_nano=_nanoseconds(source["observed_timestamp"]) if "observed_timestamp" in source else 0,
            severity_number=source["severity_number"],
            severity_text=exact.get("severity_text") or source.get("severity_text", ""),
            event_name=exact.get("event_name") or source.get("event_name", ""),
            body=exact["body"] if "body" in exact else source.get("body", {}).get("text"),
            attributes=_attributes(source, exact, "attributes"),
            dropped_attributes_count=source.get("dropped_attributes_count", 0),
            trace_id=source.get("trace_id", ""),
            span_id=source.get("span_id", ""),
            flags=source.get("trace_flags", 0),
            original=None if original is None else b64decode(original),
            resource=self._resource_of(source, exact),
            scope=self._scope_of(source, exact),
        )

    def _resource_of(self, source: Mapping[str, Any], exact: Mapping[str, str]) -> StoredResource:
        found = source.get("resource", {})
        attributes = _attributes(found, exact, "resource_attributes")
        schema_url, dropped = found.get("schema_url", ""), found.get("dropped_attributes_count", 0)
        service, original = source.get("service", {}), exact.get("resource")
        key = orjson.dumps((attributes, schema_url, dropped, service, original))
        stored = self._resources.get(key)
        if stored is None:
            decoded = None if original is None else b64decode(original)
            stored = self._resources[key] = StoredResource(_application(service), schema_url, attributes, dropped, decoded)
        return stored

    def _scope_of(self, source: Mapping[str, Any], exact: Mapping[str, str]) -> StoredScope:
        found = source.get("scope", {})
        name = exact.get("scope_name") or found.get("name", "")
        version = exact.get("scope_version") or found.get("version", "")
        attributes = _attributes(found, exact, "scope_attributes")
        schema_url, dropped = found.get("schema_url", ""), found.get("dropped_attributes_count", 0)
        original = exact.get("scope")
        key = orjson.dumps((name, version, attributes, schema_url, dropped, original))
        stored = self._scopes.get(key)
        if stored is None:
            decoded = None if original is None else b64decode(original)
            stored = self._scopes[key] = StoredScope(name, version, schema_url, attributes, dropped, decoded)
        return stored


def _attributes(holder: Mapping[str, Any], exact: Mapping[str, str], name: str) -> Any:
    return orjson.loads(exact[name]) if name in exact else holder.get("attributes", {})


def _application(service: Mapping[str, str]) -> Application:
    """The application as far as a log knows it: which number it has and when it was seen stands in the database."""
    return Application(
        application_id=0,
        namespace=service.get("namespace", ""),
        name=service.get("name", ""),
        environment=service.get("environment", ""),
        created_at_unix_nano=0,
        last_seen_unix_nano=0,
    )


def _nanoseconds(text: str) -> int:
    """Of milliseconds with six more digits."""
    return int(text.replace(".", ""))
