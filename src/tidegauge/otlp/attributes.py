"""Attributes to JSON objects, from their bytes: what was read once is recognised by them.

Most attributes of a request are, byte for byte, those of requests before: methods, routes, hosts. One dict lookup turns such a KeyValue
into its JSON. Of the others most differ only in the value of a key that is known. Keys whose values never repeat (ids, durations) are
recognised as well: their values are not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import itemgetter
from struct import Struct

import orjson
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tidegauge.otlp.values import FLOAT_LIMIT, JsonColumns

Known = tuple[bytes, bytes]
"""``"key":`` and ``"key":value``, as JSON. Equal keys are equal JSON, and others are not."""
_NOT_FAITHFUL: Known = b"", b""
"""In the place of an attribute that jsonb would not give back as it was sent; ``values`` tells when."""

_name, _json = itemgetter(0), itemgetter(1)

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
_NAMES, _LONGEST_NAMES = 1 << 11, 32
"""How many lists of names are remembered, and how long they may be: 0.5 MiB at the most, beside the names."""
_HEADS = 1 << 13
_HEAD_BYTES = 128


class _Key:
    """A key seen: its JSON with the colon, and how many of its values have been kept of late."""

    __slots__ = ("json", "kept")

    def __init__(self, json: bytes) -> None:
        self.json = json
        self.kept = 0


class AttributeCache:
    """KeyValue messages (serialised) to JSON, kept up to a budget; when that is used up everything is forgotten.

    May be shared between threads: the worst that a race does is to read an attribute twice or to count one wrong.
    """

    __slots__ = ("_budget", "_distinct", "_heads", "_keys", "_known", "_made", "_used")

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._used = 0
        self._made = 0
        self._known: dict[bytes, Known] = {}
        self._keys: dict[bytes, _Key] = {}
        # By what stands before a value: key, type and all lengths. To find it is to know that these fit each other.
        self._heads: dict[bytes, _Key] = {}
        self._distinct: set[tuple[bytes, ...]] = set()

    def __len__(self) -> int:
        return len(self._known)

    def objects(self, items: Sequence[Sequence[bytes]], check: Callable[[], object]) -> list[bytes | None]:
        """A JSON object of the attributes of each item; None where it would not be faithful: a value is not, or a key stands twice.

        ``check`` is called before any attribute is kept that is not seen here to be well-formed and its strings UTF-8; it raises if one
        is not.
        """
        # A repeated field gives a slice faster than its elements one by one.
        lists = [item[:] for item in items]
        raws = list(chain.from_iterable(lists))
        found = list(map(self._known.get, raws))
        self._read_missing(raws, found, check)
        keys, values = tuple(map(_name, found)), list(map(_json, found))  # type: ignore[arg-type]
        join, distinct = b",".join, self._distinct
        made: list[bytes | None] = []
        add = made.append
        first = 0
        for count in map(len, lists):
            last = first + count
            names = keys[first:last]
            add(b"{%b}" % join(values[first:last]) if names in distinct or self._are_distinct(names) else None)
            first = last
        self._made += len(lists)
        if self._made > _PERIOD:
            self._start_period()
        return made

    def _are_distinct(self, names: tuple[bytes, ...]) -> bool:
        """Whether no name stands twice, and no attribute is ``_NOT_FAITHFUL``. Remembered: most items have the names of others."""
        if len(set(names)) < len(names) or b"" in names:
            return False
        if len(names) <= _LONGEST_NAMES:
            if len(self._distinct) >= _NAMES:
                self._distinct.clear()
            self._distinct.add(names)
        return True

    def _read_missing(self, raws: Sequence[bytes], found: list[Known | None], check: Callable[[], object]) -> None:
        """Read the attributes that were not found. The hot path of values that never repeat.

        Strings below 126 bytes and numbers are read here, the strings all at once; whatever else there is by :meth:`_read`.
        """
        head_of = self._heads.get
        strings: list[tuple[int, _Key]] = []
        texts: list[bytes] = []
        for place in [place for place, known in enumerate(found) if known is None]:
            raw = raws[place]
            try:
                at = raw[1] + 4
                kind = raw[at]
                if kind == _STRING:
                    at += 2
                    key = head_of(raw[:at]) or self._new_head(raw, at, kind)
                    if len(raw) == at + raw[at - 1]:
                        strings.append((place, key))
                        texts.append(raw[at:])
                        continue
                    json = None
                else:
                    at += 1
                    key = head_of(raw[:at]) or self._new_head(raw, at, kind)
                    json = _number(raw, at, kind)
            except (LookupError, UnicodeDecodeError):
                json = None
            if json is None:
                found[place] = _long_string(raw) or self._read(raw, check)
                continue
            known = found[place] = key.json, key.json + json
            if key.kept < _VALUES_A_KEY:
                self._keep(key, raw, known)
        for (place, key), text in zip(strings, _strings(texts), strict=True):
            if text is None:
                found[place] = self._read(raws[place], check)
                continue
            name = key.json
            known = found[place] = name, b'%b"%b"' % (name, text)
            if key.kept < _VALUES_A_KEY:
                self._keep(key, raws[place], known)

    def _new_head(self, raw: bytes, end: int, kind: int) -> _Key:
        """The key of the first ``end`` bytes. Raises LookupError where they are no head of the plainest form."""
        length = raw[1]
        if raw[0] != _KEY or length > 127 or raw[length + 2] != _VALUE or raw[length + 3] > 127 or 0 in raw[2 : length + 2]:
            raise LookupError
        if kind == _STRING and raw[length + 3] != raw[end - 1] + 2:
            raise LookupError
        key = self._key(orjson.dumps(raw[2 : length + 2].decode()))
        if len(self._heads) >= _HEADS:
            self._forget()
        self._used += end + _HEAD_BYTES
        self._heads[raw[:end]] = key
        return key

    def _key(self, name: bytes) -> _Key:
        """The key of a name in JSON."""
        found = self._keys.get(name)
        if found is None:
            found = self._keys[name] = _Key(name + b":")
        return found

    def _read(self, raw: bytes, check: Callable[[], object]) -> Known:
        """An attribute of any form; ``_NOT_FAITHFUL`` where JSON does not hold it."""
        check()
        pair = KeyValue.FromString(raw)
        columns = JsonColumns()
        json = columns.attributes([pair])[1:-1]
        if columns.lossy:
            return _NOT_FAITHFUL
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
        self._known[raw] = found

    def _forget(self) -> None:
        self._known.clear()
        self._heads.clear()
        self._distinct.clear()
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
    """A string of 124 bytes to 16 KiB, so with lengths of two bytes; None where it is something else. Texts of SQL are such strings."""
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
        return _NOT_FAITHFUL
    try:
        key = orjson.dumps(name.decode()) + b":"
        return key, key + orjson.dumps(text.decode())
    except UnicodeDecodeError:
        return None


def _strings(texts: Sequence[bytes]) -> Sequence[bytes | None]:
    """JSON of strings, without the quotes; None where one has NUL or is not UTF-8.

    What is between them here, NUL, is ASCII: together they are UTF-8 if each of them is. As JSON it has the form of no other character,
    and what looks alike makes them too many.
    """
    try:
        found = orjson.dumps(b"\0".join(texts).decode())[1:-1].split(b"\\u0000") if texts else []
    except UnicodeDecodeError:
        found = []
    return found if len(found) == len(texts) else [_string(text) for text in texts]


def _string(text: bytes) -> bytes | None:
    try:
        return None if 0 in text else orjson.dumps(text.decode())[1:-1]
    except UnicodeDecodeError:
        return None


_double = Struct("<d").unpack_from


def _number(raw: bytes, at: int, kind: int) -> bytes | None:
    """JSON of a number or bool from ``at`` to the end, where the message has to end; None where it is not as plain as that.

    Raises LookupError where bytes are missing.
    """
    size = raw[at - 2] - 1
    if len(raw) != at + size:
        return None
    if kind == _INT:
        return _integer(raw, at, size)
    if kind == _DOUBLE and size == 8:
        (value,) = _double(raw, at)
        # 0.0 may be -0.0, and NaN is not less than anything.
        return orjson.dumps(value) if value and -FLOAT_LIMIT < value < FLOAT_LIMIT else None
    if kind == _BOOL and size == 1:
        return b"false" if not raw[at] else b"true" if raw[at] == 1 else None
    return None


def _integer(raw: bytes, at: int, size: int) -> bytes | None:
    """A varint of int64; None where something comes after it, or where it has more bits than 64."""
    number = raw[at]
    if size == 2 and number > 127 > raw[-1]:
        return b"%d" % (number & 127 | raw[-1] << 7)
    if number > 127:
        number &= 127
        shift = 7
        for byte in raw[at + 1 :]:
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if shift != 7 * size or raw[-1] > 127 or number >> 64:
            return None
        number -= number >> 63 << 64
    elif size != 1:
        return None
    return b"%d" % number
