"""What spans and logs have in common on their way to columns: their lists, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from tidegauge.otlp.budget import Budget


class Checked(NamedTuple):
    """What the official message says of a part."""

    message: Any
    twin: Any = None
    """the message's lean twin, where strings were repaired"""
    sent: Sequence[bytes | None] = ()
    """then of each item of the message, in order, what was sent if it was changed"""


class Repaired(Exception):
    """Strings of a part are not UTF-8, and now are: it is to be read anew."""


class Alone:
    """Reads items of a request apart from those around them, from its bytes; they are found when the first is asked for."""

    __slots__ = ("_body", "_items", "_request", "_twin")

    def __init__(self, request: type[Any], twin: type[Any], body: bytes) -> None:
        self._request = request
        self._twin = twin
        self._body = body
        self._items: Any = None

    def read(self, outer: int, inner: int, places: Sequence[int]) -> Any:
        """A request that has the items at some places of a list, in the same depth. Raises DecodeError where one is malformed."""
        if self._items is None:
            self._items = self._twin.FromString(self._body)
        items = self._items.items[outer].items[inner].items
        some = self._twin()
        some.items.add().items.add().items.extend([items[place] for place in places])
        return self._request.FromString(some.SerializeToString())

    def cut(self, ranges: Sequence[tuple[int, int]]) -> Any:
        """Likewise, of items that have been found already: from which byte to which."""
        some = self._twin()
        some.items.add().items.add().items.extend([self._body[first:end] for first, end in ranges])
        return self._request.FromString(some.SerializeToString())


class Part:
    """A part of a request: its lean twin, and its official message, which has the same items at the same places.

    Both are read only when they are asked for. The message is also what checks the part: whoever makes something of bytes in the twin
    either finds out by itself that they are well-formed and their strings UTF-8, or asks for the message first.

    ``body`` are the part's bytes for the compiled scan; None where the part is to be read by Python: for the decoder is told to, or since
    the part has been repaired.
    """

    __slots__ = ("_alone", "_bytes", "_check", "_lean", "_message", "_twin", "body", "sent")

    def __init__(self, body: bytes, twin: type[Any], check: Callable[[], Checked], alone: Alone | None = None, *, scanned: bool) -> None:
        self.body = body if scanned else None
        self.sent: Sequence[bytes | None] = ()
        self._bytes = body
        self._twin = twin
        self._alone = alone
        self._check = check
        self._lean: Any = None
        self._message: Any = None

    @property
    def lean(self) -> Any:
        """The twin.

        Raises:
            InvalidArgument: the part is malformed.

        """
        if self._lean is None:
            try:
                self._lean = self._twin.FromString(self._bytes)
            except DecodeError:
                # Malformed, or not UTF-8 where the twin has strings.
                self._repair(self._check())
        return self._lean

    def message(self) -> Any:
        """The official message.

        Raises:
            InvalidArgument: the part is malformed.
            Repaired: message and twin are others than before.

        """
        if self._message is None:
            checked = self._check()
            if checked.twin is not None:
                self._repair(checked)
                raise Repaired
            self._message = checked.message
        return self._message

    def _repair(self, checked: Checked) -> None:
        self._message, self._lean, self.sent = checked
        self.body = None

    def some(self, outer: int, inner: int, places: Sequence[int]) -> Any:
        """The official message of some items of a list, without any other. Raises what :meth:`message` does.

        None where the whole has been read already, or has to be.
        """
        if self._message is not None or self._alone is None:
            return None
        try:
            return self._alone.read(outer, inner, places)
        except DecodeError:
            return None

    def cut(self, ranges: Sequence[tuple[int, int]]) -> Any:
        """Likewise, of items from which byte of ``body`` to which."""
        if self._message is not None or self._alone is None:
            return None
        try:
            return self._alone.cut(ranges)
        except DecodeError:
            return None


def read_part(part: Part, batch: Any, budget: Budget, read: Callable[[Part], None]) -> None:
    """Let ``read`` add a part's rows to a batch of columns; once more from the start where the part had to be repaired."""
    rows, mark = len(batch), budget.mark()
    try:
        read(part)
    except Repaired:
        drop_rows(batch, rows)
        budget.go_back(mark)
        read(part)


def drop_rows(batch: Any, first: int) -> None:
    """Take back the rows of a batch of columns from one on; columns may be of different lengths."""
    for column in fields(batch):
        if column.name not in _NO_COLUMNS:
            del getattr(batch, column.name)[first:]


_NO_COLUMNS = frozenset({"resources", "scopes", "rejections"})
CHUNK = 64
"""Items that are decoded at once: what is made of them on the way stays in the processor's cache from one pass to the next."""


def chunks(items: Sequence[Any]) -> Iterator[tuple[range, Sequence[Any]]]:
    """A list's items, so many at a time, and their places in it."""
    for first in range(0, len(items), CHUNK):
        found = items[first : first + CHUNK]
        yield range(first, first + len(found)), found
