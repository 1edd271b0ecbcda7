"""Finds and reads the SQL files: beside the sources in a clone, inside the package in a wheel.

A file of named queries holds any number of::

    -- name: find_spans
    -- What it returns, in a line or more.
    SELECT ...

Parameters are psycopg's: ``%(name)s``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import LiteralString

_PACKAGE = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def folder(name: str) -> Path:
    """The folder ``sql`` or ``migrations``.

    Raises:
        FileNotFoundError: neither a clone nor a wheel is complete here.

    """
    for candidate in (_PACKAGE / f"_{name}", _PACKAGE.parent.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the folder {name} is missing beside {_PACKAGE}; is the installation whole?")


def script(path: str) -> LiteralString:
    """The text of ``sql/<path>``, to be executed as it is."""
    # The files are part of the program, as literal as a string in its source: that is what LiteralString guards.
    return (folder("sql") / path).read_text(encoding="utf-8")


def queries(topic: str) -> Mapping[str, LiteralString]:
    """Name → text of the queries in ``sql/queries/<topic>.sql``.

    Raises:
        ValueError: a name stands twice, or text stands before the first name.

    """
    text = script(f"queries/{topic}.sql")
    parts = _NAME.split(text)
    if parts[0].strip() and not all(line.startswith("--") or not line.strip() for line in parts[0].splitlines()):
        raise ValueError(f"sql/queries/{topic}.sql: a statement stands before the first '-- name:'")
    found: dict[str, LiteralString] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name in found:
            raise ValueError(f"sql/queries/{topic}.sql: {name} is defined twice")
        found[name] = body.strip()
    return MappingProxyType(found)
