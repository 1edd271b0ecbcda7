"""Finds and reads the SQL files: beside the sources in a clone, inside the package in a wheel.

A file of named queries holds any number of::

    -- name: find_spans
    -- What it returns, in a line or more.
    SELECT ...

Parameters are psycopg's: ``%(name)s``. What several queries share stands once, under ``-- fragment: wanted`` in place of a name, and in
each of them a line ``-- include: wanted``. A fragment may include others that stand before it.

Where uses differ by a word, the fragment has a placeholder and the line fills it::

    -- fragment: hours
    SELECT d.bucket, d.count FROM tidegauge.metrics_${tier} d WHERE d.bucket >= %(${tier}_from)s

    -- include: hours tier=hourly

Each use fills each placeholder of the fragment and no other; a word is made of letters, digits and underscores, so that what is filled in
is part of a name, never SQL of its own. A fragment that includes another may hand on a placeholder of its own: ``tier=${tier}``. A
placeholder is ``${…}`` wherever it stands, in strings too. No token of SQL or psycopg begins so: parameters (``%(name)s``, ``$1``), quotes
(``$$``), empty arrays and objects (``'{}'``) are none. In a query itself it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import LiteralString

_PACKAGE = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"^-- (name|fragment): (\w+)\s*$", re.MULTILINE)
_INCLUDE = re.compile(r"^ *-- include:(.*)$", re.MULTILINE)
_USE = re.compile(r" (\w+)((?: \w+=(?:\w+|\$\{\w+\}))*)", re.ASCII)
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")


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
        ValueError: see ``parsed``.

    """
    return parsed(script(f"queries/{topic}.sql"), f"sql/queries/{topic}.sql")


def parsed(text: LiteralString, file: str) -> Mapping[str, LiteralString]:
    """Name → text of the queries in a file's text, fragments included.

    Raises:
        ValueError: a name stands twice, a fragment is not there, or text stands before the first name; a line that includes a fragment is
            not understood, fills what the fragment does not have or does not fill what it has; a placeholder stands outside of fragments.

    """
    parts = _NAME.split(text)
    if parts[0].strip() and not all(line.startswith("--") or not line.strip() for line in parts[0].splitlines()):
        raise ValueError(f"{file}: a statement stands before the first '-- name:'")
    found: dict[str, dict[str, LiteralString]] = {"name": {}, "fragment": {}}
    for kind, name, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        if name in found[kind]:
            raise ValueError(f"{file}: {name} is defined twice")
        if kind == "name" and (left := _PLACEHOLDER.search(body)):
            raise ValueError(f"{file}: {name} has the placeholder {left[0]}, but is no fragment")
        found[kind][name] = _included(body, found["fragment"], f"{file}: {name}")
    return MappingProxyType(found["name"])


def _included(body: LiteralString, fragments: Mapping[str, LiteralString], where: str) -> LiteralString:
    parts = _INCLUDE.split(body)
    parts[1::2] = [_filled(line, fragments, where) for line in parts[1::2]]
    return "".join(parts).strip()


def _filled(line: str, fragments: Mapping[str, LiteralString], where: str) -> LiteralString:
    """The fragment that a line names, its placeholders filled by the line's words."""
    use = _USE.fullmatch(line)
    if use is None:
        raise ValueError(f"{where} includes{line}: a fragment's name and words like tier=hourly are understood, one space before each")
    fragment, pairs = use[1], use[2].split()
    if fragment not in fragments:
        raise ValueError(f"{where}: the fragment {fragment} does not stand before what includes it")
    words = dict(pair.split("=") for pair in pairs)
    placeholders = set(_PLACEHOLDER.findall(fragments[fragment]))
    if len(words) < len(pairs):
        raise ValueError(f"{where} fills a placeholder of {fragment} twice:{line}")
    if unknown := words.keys() - placeholders:
        raise ValueError(f"{where} fills what {fragment} does not have: {', '.join(sorted(unknown))}")
    if missing := placeholders - words.keys():
        raise ValueError(f"{where} does not fill what {fragment} has: {', '.join(sorted(missing))}")
    return _PLACEHOLDER.sub(lambda placeholder: words[placeholder[1]], fragments[fragment])
