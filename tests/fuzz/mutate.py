"""From the corpus and a number to an input."""

from __future__ import annotations

import copy
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import cramjam

from tests.fuzz.cases import Case
from tests.fuzz.wire import Body, mutated

TYPES = [
    b"application/x-protobuf",
    b"application/protobuf",
    b"application/json",
    b"Application/JSON; charset=utf-8",
    b" application/json ;;=",
]
STRANGE_TYPES = [b"", b"text/plain", b"application/grpc", b"\xff\xfe", b";", b"application/x-protobuf, application/json", b"a" * 5000]
CODINGS = [b"gzip", b"x-gzip", b"GZIP ", b"identity", b"", b"none"]
STRANGE_CODINGS = [b"deflate", b"br", b"gzip, gzip", b"gzip;q=1", b"\xff", b"x" * 5000]
LENGTHS = [b"0", b"1", b"-1", b"99999999999999999999", b"5000000", b"1_0", b"\xb2", b"0x10", b"", b"9" * 4400, b"1e3", b"+5"]
PATHS = [b"/v1/traces", b"/v1/metrics", b"/v1/logs", b"/api/v1/logs", b"/_bulk", b"/loki/api/v1/push"]
STRANGE_PATHS = [
    b"/elasticsearch/a%b/_bulk",
    b"/elasticsearch//",
    b"/_bulk/_bulk",
    b"/",
    b"",
    b"/v1/traces/",
    b"/v1/../v1/logs",
    b"/v1development/profiles",
    b"/\xff",
    b"/" + b"x" * 9000,
]
METHODS = [b"GET", b"PUT", b"OPTIONS", b"post", b"HEAD", b"\xff"]
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null|[][{}:,]|\s+|.', re.DOTALL)
_PUNCTUATION = {b"{", b"}", b"[", b"]", b",", b":", b" ", b", ", b": "}
WORDS = [
    *(b"null", b"true", b"{}", b"[]", b'""', b"0", b"-1", b"-0", b"-0.0", b"1e308", b"1e400", b"1E-400", b"0.1", b"1.5", b"9" * 30),
    *(b"9223372036854775807", b"9223372036854775808", b'"9223372036854775808"', b'"-9223372036854775809"', b"18446744073709551616"),
    *(b'"NaN"', b"NaN", b'"-Infinity"', b"Infinity", b'"\\u0000"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff"', b'"\xed\xa0\x80"'),
    *(b'"' + b"0" * 32 + b'"', b'"' + b"fF" * 8 + b'"', b'"abc"', b'"-_8="', b'"SPAN_KIND_SERVER"', b'"\\\\u0000"', b'"1e3"', b'" 1"'),
    *(b'"traceId"', b'"stringValue"', b'"arrayValue"', b'"kvlistValue"', b'"values"', b'"gauge"', b'"asInt"', b'"intValue"'),
]  # fmt: skip
DEEP = [1, 10, 99, 100, 101, 500, 1023, 1024, 1025, 3000]


KEYS = ["@timestamp", "timestamp", "level", "message", "service", "trace_id", "attributes", "resource", "streams", "stream", "values"]
KEYS += ["intValue", "stringValue", "doubleValue", "arrayValue", "asInt", "asDouble", "gauge", "sum", "summary", "spans", "key", "value"]
VALUES: list[Any] = [
    *(None, True, 0, -1, 1.5, -0.0, 1e300, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, "", "0", "-1", "1e3", "NaN"),
    *("Infinity", "9223372036854775808", "-9223372036854775808", "\0", "a\0", "\\u0000", "\ud800", "é😀", "f" * 32, "0" * 32, "f" * 16),
    *([], {}, [[]], [None], {"values": None}, {"values": [{}]}, {"stringValue": "a", "intValue": 1}, "x" * 5000),
    *({"doubleValue": "-Infinity"}, "-_8=", "abc", "zz", "SPAN_KIND_SERVER"),
]  # fmt: skip


class Mutator:
    """Makes inputs: the same of the same corpus, seed and number, always."""

    def __init__(self, seeds: list[Case], seed: int) -> None:
        self._seed = seed
        self._cases = seeds
        self._plain = [_unzipped(case) for case in seeds]
        self._bodies = [None if _is_json(case) else Body.of(body) for case, body in zip(seeds, self._plain, strict=True)]
        self._readable = [body for body in self._bodies if body is not None and body.places]
        self._tokens = [_TOKENS.findall(body) if _is_json(case) else [] for case, body in zip(seeds, self._plain, strict=True)]

        self._trees = [_is_json(case) and _is_tree(body) for case, body in zip(seeds, self._plain, strict=True)]

    def case(self, number: int) -> Case:
        """The input of a number."""
        random = Random(self._seed << 48 | number)
        index = random.randrange(len(self._cases))
        case = replace(self._cases[index], body=self._body(index, random))
        if random.random() < 0.1:
            case = _sent_otherwise(case, random)
        return case

    def _body(self, index: int, random: Random) -> bytes:
        parsed = self._bodies[index]
        body = self._json(index, random) if parsed is None else self._protobuf(parsed, random)
        if random.random() < 0.08:
            body = damaged(body, random)
        if self._plain[index] is not self._cases[index].body:
            body = _snappied(body, random) if _is_snappy(self._cases[index]) else _zipped(body, random)
        return body

    def _protobuf(self, body: Body, random: Random) -> bytes:
        found = mutated(body, random.choice(self._readable), random)
        while random.random() < 0.06 and len(found) < 20_000:
            found = mutated(Body.of(found), random.choice(self._readable), random)
        return found

    def _json(self, index: int, random: Random) -> bytes:
        if self._trees[index] and random.random() < 0.6:
            return _changed_tree(self._plain[index], random.choice(self._plain), random)
        tokens = list(self._tokens[index])
        for _ in range(random.choice([1, 1, 2, 4])):
            self._change(tokens, random)
        return b"".join(tokens)

    def _change(self, tokens: list[bytes], random: Random) -> None:
        if not tokens:
            tokens.append(random.choice(WORDS))
            return
        place = random.randrange(len(tokens))
        # Most changes leave what is read: values are changed, and punctuation seldom.
        for _ in range(20):
            if tokens[place] in _PUNCTUATION or tokens[(place + 1) % len(tokens)] == b":":
                place = random.randrange(len(tokens))
        kind = random.randrange(20)
        if kind == 0:
            del tokens[place]
        elif kind == 1:
            tokens.insert(place, random.choice(WORDS))
        elif kind == 2:
            end = min(len(tokens), place + random.randint(1, 30))
            tokens[place:place] = tokens[place:end] * random.choice([1, 1, 2, 50])
        elif kind == 3:
            other = random.randrange(len(tokens))
            tokens[place], tokens[other] = tokens[other], tokens[place]
        elif kind == 4:
            depth = random.choice(DEEP)
            opening, closing = random.choice(
                [(b"[", b"]"), (b'{"a":', b"}"), (b'{"arrayValue":{"values":[', b"]}}"), (b'{"kvlistValue":{"values":[{"value":', b"}]}}")]
            )
            tokens[place] = opening * depth + tokens[place] + closing * (depth if random.random() < 0.9 else 0)
        else:
            tokens[place] = random.choice(WORDS)


def _changed_tree(text: bytes, other: bytes, random: Random) -> bytes:
    """JSON in which a few values are others, or are not there, or are there again: still JSON."""
    document = json.loads(text)
    places = list(_places(document))
    for _ in range(random.choice([1, 1, 2, 5]) if places else 0):
        container, key = random.choice(places)
        kind = random.randrange(6)
        if kind == 0:
            container.pop(key, None) if isinstance(container, dict) else container.clear()
        elif kind == 1 and isinstance(container, list):
            times = random.choice([1, 3, 200])
            container += container[:1] * times
            if times == 200:  # once: a list in a list in a list would be without end
                break
        elif kind == 2 and isinstance(container, dict):
            container[random.choice(KEYS)] = container.pop(key, None)
        elif kind == 3:
            strange = list(_places(json.loads(other))) if _is_tree(other) else places
            _put(container, key, copy.copy(random.choice(strange or places)[0]))
        else:
            _put(container, key, random.choice(VALUES))
    try:
        return json.dumps(document, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):  # in itself
        return text


def _is_tree(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _put(container: Any, key: Any, value: Any) -> None:
    if isinstance(container, dict) or key < len(container):
        container[key] = value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key or index) of all values in a document."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def damaged(body: bytes, random: Random) -> bytes:
    """Bytes changed without regard for what they mean."""
    found = bytearray(body)
    for _ in range(random.choice([1, 1, 1, 2, 8])):
        place = random.randint(0, len(found))
        kind = random.randrange(5)
        if kind == 0 and place < len(found):
            found[place] ^= 1 << random.randrange(8)
        elif kind == 1:
            found[place:place] = random.randbytes(random.randint(1, 8))
        elif kind == 2:
            del found[place : place + random.randint(1, 8)]
        elif kind == 3:
            found[place:place] = found[place : place + random.randint(1, 64)]
        elif random.random() < 0.3:
            del found[place:]
    return bytes(found)


def _sent_otherwise(case: Case, random: Random) -> Case:
    """The same body with other headers, to another path, in parts, or cut off."""
    if case.method == b"GRPC":
        return replace(case, path=random.choice([b"traces", b"metrics", b"logs"]), gone=random.random() < 0.1)
    headers = dict(case.headers)
    kind = random.randrange(9)
    if kind == 0:
        headers[b"content-type"] = random.choice(TYPES)
    elif kind == 1:
        headers[b"content-type"] = random.choice(STRANGE_TYPES)
    elif kind == 2:
        headers[b"content-encoding"] = random.choice(CODINGS)
    elif kind == 3:
        headers[b"content-encoding"] = random.choice(STRANGE_CODINGS)
    elif kind == 4:
        headers[b"content-length"] = random.choice(LENGTHS)
    elif kind == 5:
        return replace(case, path=random.choice(PATHS if random.random() < 0.8 else STRANGE_PATHS))
    elif kind == 6:
        return replace(case, method=random.choice(METHODS))
    elif kind == 7:
        return replace(case, chunks=random.choice([0, 2, 3, 17, 300]), gone=random.random() < 0.2)
    else:
        headers.pop(random.choice([b"content-type", b"content-encoding", b"content-length"]), None)
    return replace(case, headers=tuple(headers.items()))


def _zipped(body: bytes, random: Random) -> bytes:
    packed = _gzip(body)
    kind = random.randrange(12)
    if kind == 0:
        return damaged(packed, random)
    if kind == 1:  # more members
        return packed * random.randint(2, 5)
    if kind == 2:  # an empty member, many times
        return _gzip(b"") * random.choice([1, 2, 20, 5000 if random.random() < 0.05 else 200]) + packed
    if kind == 3 and random.random() < 0.05:  # a bomb
        return _gzip(bytes(random.choice([1 << 20, 4 << 20, 5 << 20, 32 << 20])))
    if kind == 4:
        return packed + random.randbytes(random.randint(1, 20))
    return packed


def _snappied(body: bytes, random: Random) -> bytes:
    packed = bytes(cramjam.snappy.compress_raw(body))
    kind = random.randrange(12)
    if kind == 0:
        return damaged(packed, random)
    if kind == 1 and random.random() < 0.2:  # a bomb
        return bytes(cramjam.snappy.compress_raw(bytes(random.choice([1 << 20, 4 << 20, 5 << 20, 32 << 20]))))
    if kind == 2:  # a length that is a lie
        return random.choice([b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\x01", b"\0"]) + packed[2:]
    return packed


def _is_snappy(case: Case) -> bool:
    return case.path == b"/loki/api/v1/push" and dict(case.headers).get(b"content-type") == b"application/x-protobuf"


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def _unzipped(case: Case) -> bytes:
    if _is_snappy(case):
        return bytes(cramjam.snappy.decompress_raw(case.body))
    if not case.body.startswith(b"\x1f\x8b"):
        return case.body
    try:
        return zlib.decompress(case.body, 31)
    except zlib.error:
        return case.body


def _is_json(case: Case) -> bool:
    return b"json" in dict(case.headers).get(b"content-type", b"").lower()
