"""Attributes to JSON objects, from their bytes: what was read once is recognised by them.

Most attributes of a request are, byte for byte, those of requests before: methods, routes, hosts. One dict lookup turns such a KeyValue
into its JSON. Of the others most differ only in the value of a key that is known. Keys whose values never repeat (ids, durations) are
recognised as well: their values are not kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from struct import Struct

import orjson
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tidegauge.otlp.values import FLOAT_LIMIT, JsonColumns

Known = tuple[bytes, bytes]
"""``"key":`` and ``"key":value``, as JSON. Equal keys are equal JSON, and others are not."""

_STRING, _BOOL, _INT, _DOUBLE = 0x0A, 0x10, 0x18, 0x21
"""Tags of AnyValue's fields (common.proto): number << 3 | wire type."""
_KEY, _VALUE = 0x0A, 0x12
_ENTRY_BYTES = 320
"""What an entry takes beside its bytes, about."""
_LONGEST = 256
"""Longer ones seldom repeat, and are read in about the time that it takes to find them."""
_VALUES_A_KEY = 512
"""How many values of one key are kept in a period."""
_PERIOD = 1 << 16
"""Objects made. After a period every key may have half as many new values again: what repeats is found in the end."""
_HEADS = 1 << 13
_HEAD_BYTES = 128


class NotFaithful(Exception):
    """jsonb would not give the value back as it was sent; ``values`` tells when."""


class _Key:
    """A key seen: its JSON with the colon, and how many of its values have been kept of late."""

    __slots__ = ("json", "kept")

    def __init__(self, json: bytes) -> None:
        self.json = json
        self.kept = 0


class AttributeCache(dict[bytes, Known]):
    """KeyValue messages (serialised, well-formed) to JSON, kept up to a budget; when that is used up everything is forgotten.

    May be shared between threads: the worst that a race does is to read an attribute twice or to count one wrong.
    """

    __slots__ = ("_budget", "_head_of", "_heads", "_keys", "_made", "_used")

    def __init__(self, budget_bytes: int) -> None:
        super().__init__()
        self._budget = budget_bytes
        self._used = 0
        self._made = 0
        self._keys: dict[bytes, _Key] = {}
        # By what stands before a value: key, type and all lengths. To find it is to know that these fit each other.
        self._heads: dict[bytes, _Key] = {}
        self._head_of = self._heads.get

    def objects(self, items: Collection[Collection[bytes]]) -> list[bytes | None]:
        """A JSON object of the attributes of each item; None where it would not be faithful: a value is not, or a key stands twice."""
        find, join = self.__getitem__, b",".join
        made: list[bytes | None] = []
        add = made.append
        for pairs in items:
            try:
                found = dict(map(find, pairs))
            except NotFaithful:
                add(None)
                continue
            add(b"{%b}" % join(found.values()) if len(found) == len(pairs) else None)
        self._made += len(items)
        if self._made > _PERIOD:
            self._start_period()
        return made

    def __missing__(self, raw: bytes) -> Known:
        """Read an attribute. Lengths below 126, so of one byte, are read here; whatever else there is by its message.

        Raises:
            NotFaithful: JSON does not hold the value.

        """
        try:
            place = raw[1] + 4
            kind = raw[place]
            if kind == _STRING:
                place += 2
                key = self._head_of(raw[:place]) or self._new_head(raw, place, 6)
                if len(raw) != place + raw[place - 1]:
                    return self._read(raw)
                text = raw[place:].decode()
                if "\0" in text:
                    raise NotFaithful
                found = key.json, key.json + orjson.dumps(text)
            else:
                key = self._head_of(raw[: place + 1]) or self._new_head(raw, place + 1, 5)
                json = _number(raw, place, kind)
                if json is None:
                    return self._read(raw)
                found = key.json, key.json + json
        except LookupError:
            return self._read(raw)
        if key.kept < _VALUES_A_KEY:
            self._keep(key, raw, found)
        return found

    def _new_head(self, raw: bytes, end: int, around: int) -> _Key:
        """Of the first ``end`` bytes, ``around`` beside the key. Raises LookupError where they are no head of the plainest form."""
        length = end - around
        if raw[0] != _KEY or length > 127 or raw[length + 2] != _VALUE or raw[length + 3] > 127:
            raise LookupError
        if around == 6 and raw[length + 3] != raw[end - 1] + 2:
            raise LookupError
        if 0 in raw[2 : length + 2]:
            raise NotFaithful
        key = self._key(orjson.dumps(raw[2 : length + 2].decode()))
        if len(self._heads) >= _HEADS:
            self._forget()
        self._used += len(raw[:end]) + _HEAD_BYTES
        self._heads[raw[:end]] = key
        return key

    def _key(self, name: bytes) -> _Key:
        """The key of a name in JSON."""
        found = self._keys.get(name)
        if found is None:
            found = self._keys[name] = _Key(name + b":")
        return found

    def _read(self, raw: bytes) -> Known:
        """An attribute of any form."""
        found = _long_string(raw)
        if found:
            return found
        pair = KeyValue.FromString(raw)
        columns = JsonColumns()
        json = columns.attributes([pair])[1:-1]
        if columns.lossy:
            raise NotFaithful
        name = orjson.dumps(pair.key)
        found = name + b":", json
        if len(raw) <= _LONGEST and len(self._keys) < _HEADS:
            key = self._key(name)
            if key.kept < _VALUES_A_KEY:
                self._keep(key, raw, found)
        return found

    def _keep(self, key: _Key, raw: bytes, found: Known) -> None:
        key.kept += 1
        self._used += _ENTRY_BYTES + len(raw) + len(found[1])
        if self._used > self._budget:
            self._forget()
        self[raw] = found

    def _forget(self) -> None:
        self.clear()
        self._heads.clear()
        self._keys.clear()
        self._used = 0

    def _start_period(self) -> None:
        self._made = 0
        for key in list(self._keys.values()):
            key.kept >>= 1


def total_bytes(objects: Iterable[bytes | None]) -> int:
    """Bytes of all objects."""
    return sum(map(len, filter(None, objects)))


def _long_string(raw: bytes) -> Known | None:
    """A string of 124 bytes to 16 KiB, so with lengths of two bytes; None where it is something else. Texts of SQL are such strings.

    Raises:
        NotFaithful: there is a NUL in it.

    """
    try:
        length = raw[1]
        place = length + 3
        if (
            raw[0] != _KEY
            or length > 127
            or raw[place - 1] != _VALUE
            or raw[place] < 128
            or raw[place + 1] > 127
            or raw[place + 2] != _STRING
        ):
            return None
        start, size = place + 4, raw[place + 3]
        if size > 127:
            start, size = place + 5, size & 127 | raw[place + 4] << 7
    except IndexError:
        return None
    if start + size != len(raw) or raw[place] & 127 | raw[place + 1] << 7 != len(raw) - place - 2:
        return None
    name, text = raw[2 : length + 2], raw[start:]
    if 0 in name or 0 in text:
        raise NotFaithful
    key = orjson.dumps(name.decode()) + b":"
    return key, key + orjson.dumps(text.decode())


_double = Struct("<d").unpack_from


def _number(raw: bytes, place: int, kind: int) -> bytes | None:
    """JSON of a number or bool whose tag is at ``place``, the last field of all; None where it is not as plain as that.

    Raises LookupError where bytes are missing.
    """
    size = raw[place - 1]
    if len(raw) != place + size:
        return None
    if kind == _INT:
        if size == 2:
            return b"%d" % raw[place + 1]
        if size == 3 and raw[place + 1] > 127:
            return b"%d" % (raw[place + 1] & 127 | raw[place + 2] << 7)
        number = shift = last = 0
        for last, byte in enumerate(raw[place + 1 :], 2):  # noqa: B007 (where it ended is asked below)
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if last != size:
            return None
        number &= (1 << 64) - 1
        return b"%d" % (number - (number >> 63 << 64))
    if kind == _DOUBLE and size == 9:
        (value,) = _double(raw, place + 1)
        # 0.0 may be -0.0, and NaN is not less than anything.
        return orjson.dumps(value) if value and -FLOAT_LIMIT < value < FLOAT_LIMIT else None
    if kind == _BOOL and size == 2:
        return b"false" if not raw[place + 1] else b"true" if raw[place + 1] == 1 else None
    return None
