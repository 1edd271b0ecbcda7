"""Elasticsearch's bulk format, as far as log shippers use it: ``create`` and ``index`` of documents.

https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk: a line that says what to do, then, but for ``delete``, a line
with the document.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tidegauge.errors import InvalidArgument
from tidegauge.logforms.document import add_document
from tidegauge.logforms.json_logs import loaded, split_lines
from tidegauge.logforms.reading import UNSUPPORTED, Records

_ACTIONS = frozenset({"create", "index", "update", "delete"})
_NAME = 256
INDEX_ATTRIBUTE, ID_ATTRIBUTE = "elasticsearch.index", "elasticsearch.id"


class Action(NamedTuple):
    """What a bulk request asks to be done with a document, into which index. ``id`` is the sender's own, "" where there is none."""

    name: str
    into: str
    id: str


class Bulk:
    """Parses one bulk request; ``actions`` has one entry an item then. ``index`` is the path's, for items that name none."""

    def __init__(self, index: str) -> None:
        self._index = index
        self.actions: list[Action] = []

    def parse(self, body: bytes, records: Records) -> None:
        """Add every document.

        Raises:
            InvalidArgument: a line that should say what to do does not, so that nothing behind it can be told.
            PayloadTooLarge: it takes far more memory than its bytes.

        """
        lines = enumerate(split_lines(body), 1)
        for number, line in lines:
            if not line:
                continue
            action = self._action(number, line, records)
            # What is remembered of an item: the answer names each.
            self.actions.append(action)
            if action.name == "delete":
                records.refuse("deleting is not supported: this endpoint takes logs", line, UNSUPPORTED)
                continue
            source = _next(lines)
            if action.name == "update":
                records.refuse("updating is not supported: this endpoint takes logs", source, UNSUPPORTED)
            elif not source:
                records.refuse("the document is missing", line)
            else:
                _add(source, action, records)
        if not self.actions:
            raise InvalidArgument("request body is required")

    def _action(self, number: int, line: bytes, records: Records) -> Action:
        try:
            found = loaded(line, records)
        except ValueError as error:
            raise InvalidArgument(f"Malformed action/metadata line [{number}]: {error}") from error
        if not isinstance(found, dict) or len(found) != 1:
            raise InvalidArgument(f"Malformed action/metadata line [{number}], expected an object with one field")
        ((name, meta),) = found.items()
        if name not in _ACTIONS:
            expected = "create, delete, index or update"
            raise InvalidArgument(f"Malformed action/metadata line [{number}], expected field [{expected}] but found [{name[:100]}]")
        if not isinstance(meta, dict):
            raise InvalidArgument(f"Malformed action/metadata line [{number}], expected an object behind [{name}]")
        return Action(name, _name(meta.get("_index")) or self._index, _name(meta.get("_id")))


def _next(lines: Iterator[tuple[int, bytes]]) -> bytes:
    return next(lines, (0, b""))[1]


def _add(source: bytes, action: Action, records: Records) -> None:
    try:
        document = loaded(source, records)
    except ValueError as error:
        records.refuse(f"failed to parse: {error}", source)
        return
    more = {name: value for name, value in ((INDEX_ATTRIBUTE, action.into), (ID_ATTRIBUTE, action.id)) if value}
    add_document(records, document, more=more)


def _name(value: object) -> str:
    return str(value)[:_NAME] if isinstance(value, str | int) else ""
