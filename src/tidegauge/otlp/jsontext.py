"""JSON whose strings are not all text: a surrogate's escape alone, or bytes that are no UTF-8.

JavaScript writes the former where it cut a string within an emoji;
https://www.rfc-editor.org/rfc/rfc8259#section-8.2 leaves open what a reader makes of it. Here either is read as U+FFFD.
"""

from __future__ import annotations

import re

_HIGH = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE = re.compile(rb"%b(?!%b)|(?<!%b)%b" % (_HIGH, _LOW, _HIGH, _LOW))
"""Where no backslash is escaped. Looks at a fixed number of bytes from each place, so it takes time in proportion to the body."""
_BACKSLASH, _MASK = rb"\\", b"\0\0"
_AROUND = 500
"""Bytes of the sample to either side; with U+FFFD for each of them it is still less than a sample may be."""


def repaired(body: bytes) -> tuple[bytes | bytearray, bytes] | None:
    """The body with U+FFFD in the place of what cannot be read, and the text around the first such place; None where all can be read.

    The text is UTF-8, and has escapes as they were sent. Only for bodies that were refused: it copies them.
    """
    if b"\0" in body:
        return None  # not JSON, with or without repair
    # Without escaped backslashes each backslash that is left begins an escape.
    text = bytearray(body.replace(_BACKSLASH, _MASK))
    places: list[int] = []
    for found in _LONE.finditer(text):
        text[found.start() + 2 : found.end()] = b"fffd"
        if not places:
            places.append(found.start())
    text = text.replace(_MASK, _BACKSLASH)
    try:
        text.decode()
    except UnicodeDecodeError as error:
        places.append(error.start)
        text = bytearray(text.decode("utf-8", "replace").encode())
    return (text, _around(body, min(places))) if places else None


def _around(body: bytes, place: int) -> bytes:
    return body[max(0, place - _AROUND) : place + _AROUND].decode("utf-8", "replace").encode()
