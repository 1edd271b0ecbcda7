"""Resources and scopes of a request, each interned once in its batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from tidegauge.model.batch import ResourceEntry, ScopeEntry
from tidegauge.model.identity import resource_identity, scope_identity
from tidegauge.otlp.budget import ORIGIN_BYTES, Budget
from tidegauge.otlp.cache import BoundedCache
from tidegauge.otlp.limits import APPLICATION_NAME_LENGTH
from tidegauge.otlp.restore import model_resource, model_scope
from tidegauge.otlp.values import JsonColumns

UNKNOWN_SERVICE = "unknown_service"
ResourceCache = BoundedCache[tuple[bytes, str], ResourceEntry]
ScopeCache = BoundedCache[tuple[bytes, str], ScopeEntry]


def resource_entry(resource: Resource, schema_url: str) -> ResourceEntry:
    """A resource with its identity and its application (semantic conventions "Service" and "Deployment").

    ``deployment.environment`` is the older name of ``deployment.environment.name`` and counts where that is absent or empty.
    """
    columns = JsonColumns()
    shown_url = columns.text(schema_url)
    text = columns.attributes(resource.attributes)
    named = orjson.loads(text)
    environment = _name(named.get("deployment.environment.name")) or _name(named.get("deployment.environment"))
    return ResourceEntry(
        identity=resource_identity(model_resource(resource, schema_url)),
        service_name=_name(named.get("service.name")) or UNKNOWN_SERVICE,
        service_namespace=_name(named.get("service.namespace")),
        environment=environment,
        schema_url=shown_url,
        attributes=text,
        dropped_attributes_count=resource.dropped_attributes_count,
        original=ResourceSpans(resource=resource, schema_url=schema_url).SerializeToString()
        if columns.lossy or resource.entity_refs
        else None,
    )


def scope_entry(scope: InstrumentationScope, schema_url: str) -> ScopeEntry:
    """A scope with its identity."""
    columns = JsonColumns()
    shown_url = columns.text(schema_url)
    name, version, text = columns.text(scope.name), columns.text(scope.version), columns.attributes(scope.attributes)
    return ScopeEntry(
        identity=scope_identity(model_scope(scope, schema_url)),
        name=name,
        version=version,
        schema_url=shown_url,
        attributes=text,
        dropped_attributes_count=scope.dropped_attributes_count,
        original=ScopeSpans(scope=scope, schema_url=schema_url).SerializeToString() if columns.lossy else None,
    )


def _name(value: object) -> str:
    """A name as text, from the JSON column: what is no string is its JSON."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text[:APPLICATION_NAME_LENGTH]


class Origins:
    """The resources and scopes of one batch; gives their indexes."""

    def __init__(self, resource_cache: ResourceCache, scope_cache: ScopeCache, budget: Budget) -> None:
        self._budget = budget
        self.resources: list[ResourceEntry] = []
        self.scopes: list[ScopeEntry] = []
        self._resource_cache = resource_cache
        self._scope_cache = scope_cache
        self._resource_index: dict[bytes, int] = {}
        self._scope_index: dict[bytes, int] = {}

    def resource(self, lean: Any, read: Callable[[], Resource]) -> int:
        """Index of the resource of a lean message; ``read`` gives it where it is not known.

        Of resources with one identity the first stands for all.
        """
        return self.resource_of(b"".join(lean.resource), lean.schema_url, read)

    def resource_of(self, raw: bytes, schema_url: str, read: Callable[[], Resource]) -> int:
        """Likewise, of a resource's bytes."""
        entry = self._resource_cache.get((raw, schema_url))
        if entry is None:
            entry = resource_entry(read(), schema_url)
            self._resource_cache.put((raw, schema_url), entry, 500 + 3 * len(raw))
        index = self._resource_index.setdefault(entry.identity.bytes, len(self.resources))
        if index == len(self.resources):
            self._budget.keep(ORIGIN_BYTES + 3 * len(raw))
            self.resources.append(entry)
        return index

    def scope(self, lean: Any, read: Callable[[], InstrumentationScope]) -> int:
        """Index of the scope of a lean message, likewise."""
        return self.scope_of(b"".join(lean.scope), lean.schema_url, read)

    def scope_of(self, raw: bytes, schema_url: str, read: Callable[[], InstrumentationScope]) -> int:
        """Likewise, of a scope's bytes."""
        entry = self._scope_cache.get((raw, schema_url))
        if entry is None:
            entry = scope_entry(read(), schema_url)
            self._scope_cache.put((raw, schema_url), entry, 500 + 3 * len(raw))
        index = self._scope_index.setdefault(entry.identity.bytes, len(self.scopes))
        if index == len(self.scopes):
            self._budget.keep(ORIGIN_BYTES + 3 * len(raw))
            self.scopes.append(entry)
        return index
