"""Finds and reads the SQL files: beside the sources in a clone, inside the package in a wheel.

A file of named queries holds any number of::

    -- name: find_spans
    -- What it returns, in a line or more.
    SELECT ...

Parameters are psycopg's: ``%(name)s``. What several queries share stands once, under ``-- fragment: wanted`` in place of a name, and in
each of them a line ``-- include: wanted``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import LiteralString

_PACKAGE = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"^-- (name|fragment): (\w+)\s*$", re.MULTILINE)
_INCLUDE = re.compile(r"^ *-- include: (\w+)$", re.MULTILINE)


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


def names() -> Mapping[str, str]:
    """Text → ``<topic>.<name>`` of every query there is."""
    topics = sorted(path.stem for path in (folder("sql") / "queries").glob("*.sql"))
    return {text: f"{topic}.{name}" for topic in topics for name, text in queries(topic).items()}


def queries(topic: str) -> Mapping[str, LiteralString]:
    """Name → text of the queries in ``sql/queries/<topic>.sql``.

    Raises:
        ValueError: a name stands twice, a fragment is not there, or text stands before the first name.

    """
    text = script(f"queries/{topic}.sql")
    parts = _NAME.split(text)
    if parts[0].strip() and not all(line.startswith("--") or not line.strip() for line in parts[0].splitlines()):
        raise ValueError(f"sql/queries/{topic}.sql: a statement stands before the first '-- name:'")
    found: dict[str, dict[str, LiteralString]] = {"name": {}, "fragment": {}}
    for kind, name, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        if name in found[kind]:
            raise ValueError(f"sql/queries/{topic}.sql: {name} is defined twice")
        found[kind][name] = _included(body, found["fragment"], topic)
    return MappingProxyType(found["name"])


def _included(body: LiteralString, fragments: Mapping[str, LiteralString], topic: str) -> LiteralString:
    parts = _INCLUDE.split(body)
    for place in range(1, len(parts), 2):
        if parts[place] not in fragments:
            raise ValueError(f"sql/queries/{topic}.sql: the fragment {parts[place]} does not stand before what includes it")
        parts[place] = fragments[parts[place]]
    return "".join(parts).strip()
