from typing import Any, TypeAlias

Scope: TypeAlias = tuple[bytes, str, int, list[tuple[int, int, int]]]
"""A ScopeSpans: scope, schema_url, number of spans; (place, first byte, end) of each span that is odd"""
Resource: TypeAlias = tuple[bytes, str, list[Scope]]
"""A ResourceSpans: resource, schema_url, scopes"""

def scan(body: bytes, columns: tuple[list[Any], ...]) -> tuple[list[Resource], int] | None: ...
