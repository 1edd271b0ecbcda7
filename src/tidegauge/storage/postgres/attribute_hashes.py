"""What the attribute index keeps of an attribute: a number of 32 bits, and filters made of such numbers. No I/O.

Version 1. An attribute of a span has two hashes, its key's and its pair's; an event's attributes have others.

- Text is what stands between the quotes of its JSON (escaped as orjson and PostgreSQL both do it), in UTF-8.
- A key's hash is CRC-32 (ISO 3309, as in zlib) of its text, an event's of the byte 01 and the text.
- A pair's hash goes on from there: with ``":"`` and the text of a string; with ``":`` and the eight bytes (IEEE 754, big-endian) of a
  number, rounded to a double, zero without sign. So 200 and 200.0, equal in jsonb, have one hash; true and false count as 1 and 0.
- Other values (null, arrays, objects) have no pair's hash: they are found by key.
- 0 is replaced by 1.

A filter is a split block Bloom filter, as in Apache Parquet (BloomFilter.md): blocks of 32 bytes, in each of which a number sets one bit of
each of eight words. Its 64 bits are the hash through MurmurHash3's finaliser ``fmix64``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from struct import Struct, pack, unpack
from zlib import crc32

import orjson

from tidegauge.compiled import module as compiled_module

Scalar = bool | int | float | str
BITS_A_HASH, FEWEST_BITS_A_HASH = 16, 8
"""Of a filter, as long as that is not too much for its spans: of 1,000 numbers that are not in it one seems to be, or 30."""
BYTES_A_SPAN = 8
"""What a filter may take where attributes do not repeat, as long as a hash has the fewest bits."""
BLOCK_BYTES = 32
_SALTS = (0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31)
_MASK_32, _MASK_64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_EVENT = b"\x01"
_double = Struct(">d").pack
_pairs = compiled_module("tidegauge.storage.postgres._attribute_pairs")


def key_hash(key: str, *, of_event: bool = False) -> int:
    """Of an attribute that is there."""
    return _key_crc(key, of_event) or 1


def pair_hash(key: str, value: Scalar, *, of_event: bool = False) -> int:
    """Of an attribute with a value."""
    crc = _key_crc(key, of_event)
    if isinstance(value, str):
        return crc32(b'":"' + _text(value), crc) or 1
    try:
        number = float(value)
    except OverflowError:
        number = float("inf") if value > 0 else float("-inf")
    return crc32(b'":' + _double(number or 0.0), crc) or 1


def packed(hashes: Collection[int]) -> bytes:
    """Hashes as a piece keeps them: ascending, four bytes each, big-endian."""
    return pack(f">{len(hashes)}I", *sorted(hashes))


def unpacked(hashes: bytes) -> tuple[int, ...]:
    """Of :func:`packed`."""
    return unpack(f">{len(hashes) // 4}I", hashes)


def merged(pieces: Sequence[bytes], *, compiled: bool = True) -> bytes:
    """Packed hashes of several pieces as one, in any order."""
    if compiled and _pairs is not None:
        return _pairs.merged(list(pieces))  # type: ignore[no-any-return]
    return packed({one for piece in pieces for one in unpacked(piece)})


def mixed(number: int) -> tuple[int, int]:
    """The 32 bits that choose a block, and those that choose its bits."""
    number = (number ^ number >> 33) * 0xFF51AFD7ED558CCD & _MASK_64
    number = (number ^ number >> 33) * 0xC4CEB9FE1A85EC53 & _MASK_64
    number ^= number >> 33
    return number >> 32, number & _MASK_32


def bits(low: int) -> list[int]:
    """Numbers of a block's bits, bit 0 being the lowest of the first byte, as in PostgreSQL's get_bit()."""
    return [32 * word + ((low * salt & _MASK_32) >> 27) for word, salt in enumerate(_SALTS)]


def filter_of(hashes: bytes, spans: int, *, compiled: bool = True) -> bytes:
    """A filter of the packed hashes of so many spans."""
    count = len(hashes) // 4
    wanted = max(min(BITS_A_HASH * count, 8 * BYTES_A_SPAN * spans), FEWEST_BITS_A_HASH * count)
    blocks = max(1, -(-wanted // (8 * BLOCK_BYTES)))
    if compiled and _pairs is not None:
        return _pairs.filter_of(hashes, blocks)  # type: ignore[no-any-return]
    made = bytearray(blocks * BLOCK_BYTES)
    for number in unpacked(hashes):
        high, low = mixed(number)
        start = BLOCK_BYTES * (high * blocks >> 32)
        for bit in bits(low):
            made[start + bit // 8] |= 1 << bit % 8
    return bytes(made)


def _key_crc(key: str, of_event: bool) -> int:
    return crc32(_text(key), crc32(_EVENT) if of_event else 0)


def _text(value: str) -> bytes:
    return orjson.dumps(value)[1:-1]
