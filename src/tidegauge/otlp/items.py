"""What spans and logs have in common on their way to columns: their lists, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

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


class Part:
    """A part of a request: its lean twin, and its official message, which has the same items at the same places.

    The message is read only when it is asked for, and that is also what checks the part: whoever makes something of bytes in the twin
    either finds out by itself that they are well-formed and their strings UTF-8, or asks for the message first.
    """

    __slots__ = ("_check", "_message", "lean", "sent")

    def __init__(self, lean: Any, check: Callable[[], Checked], sent: Sequence[bytes | None] = ()) -> None:
        self.lean = lean
        self.sent = sent
        self._check = check
        self._message: Any = None

    def message(self) -> Any:
        """The official message.

        Raises:
            InvalidArgument: the part is malformed.
            Repaired: message and twin are others than before.

        """
        if self._message is None:
            self._message, twin, sent = self._check()
            if twin is not None:
                self.lean, self.sent = twin, sent
                raise Repaired
        return self._message


def read_part(part: Part, batch: Any, budget: Budget, read: Callable[[Part], None]) -> None:
    """Let ``read`` add a part's rows to a batch of columns; once more from the start where the part had to be repaired."""
    rows, used = len(batch), budget.used
    try:
        read(part)
    except Repaired:
        for column in fields(batch):
            if column.name not in _NO_COLUMNS:
                del getattr(batch, column.name)[rows:]
        budget.used = used
        read(part)


_NO_COLUMNS = frozenset({"resources", "scopes", "rejections"})
CHUNK = 512
"""Items that are decoded at once; bounds what is held twice."""


def chunks(items: Sequence[Any]) -> Iterator[tuple[range, Sequence[Any]]]:
    """A list's items, so many at a time, and their places in it."""
    for first in range(0, len(items), CHUNK):
        found = items[first : first + CHUNK]
        yield range(first, first + len(found)), found
