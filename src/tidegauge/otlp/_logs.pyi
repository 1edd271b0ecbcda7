from typing import Any, TypeAlias

Scope: TypeAlias = tuple[bytes, str, int, list[tuple[int, int, int]]]
"""A ScopeLogs: scope, schema_url, number of records; (place, first byte, end) of each record that is odd"""
Resource: TypeAlias = tuple[bytes, str, list[Scope]]
"""A ResourceLogs: resource, schema_url, scopes"""

def scan(body: bytes, columns: tuple[list[Any], ...]) -> tuple[list[Resource], int] | None: ...
