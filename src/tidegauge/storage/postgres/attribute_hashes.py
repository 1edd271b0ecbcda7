"""What the attribute index keeps of an attribute: a number of 32 bits, and filters made of such numbers. No I/O.

Version 1. An attribute of a span has two hashes, its key's and its pair's; an event's attributes have others.

- Text is what stands between the quotes of its JSON (escaped as orjson and PostgreSQL both do it), in UTF-8.
- A key's hash is CRC-32 (ISO 3309, as in zlib) of its text, an event's of the byte 01 and the text.
- A pair's hash goes on from there: with ``":"`` and the text of a string; with ``":`` and the eight bytes (IEEE 754, big-endian) of a
  number, rounded to a double, zero without sign. So 200 and 200.0, equal in jsonb, have one hash; true and false count as 1 and 0.
- Other values (null, arrays, objects) have no pair's hash: they are found by key.
- 0 is replaced by 1.

A filter is an xor filter (Graf and Lemire, "Xor Filters: Faster and Smaller Than Bloom and Cuckoo Filters", 2020) of a byte a slot: 9.84
bits a hash, and of a thousand hashes that are not in it four seem to be. A hash, with the filter's seed above its 32 bits, goes through
MurmurHash3's finaliser ``fmix64``; the low 32 bits of that, and of it turned left by 21 and by 42 bits, choose a slot in each third of the
filter (multiplied by the third's length, shifted right by 32). The three slots' exclusive or is bits 0 to 7 of the finalised, exclusive or
its bits 32 to 39.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from struct import Struct, pack, unpack
from zlib import crc32

import orjson

from tidegauge.compiled import module as compiled_module

Scalar = bool | int | float | str
SEEDS = 8
"""How many are tried; one that fails with the first is rare, with all a matter of no account."""
_MASK_32, _MASK_64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_EVENT = b"\x01"
_double = Struct(">d").pack
_filters = compiled_module("tidegauge.storage.postgres._attribute_filters")


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
    """Hashes as a piece keeps them: four bytes each, big-endian; ascending, which is needed of more than 4096."""
    return pack(f">{len(hashes)}I", *sorted(hashes))


def unpacked(hashes: bytes) -> tuple[int, ...]:
    """Of :func:`packed`."""
    return unpack(f">{len(hashes) // 4}I", hashes)


def merged(pieces: Sequence[bytes], *, compiled: bool = True) -> bytes:
    """Packed hashes of several pieces as one; as :func:`packed` has it, up to 4096 in any order."""
    if compiled and _filters is not None:
        return _filters.merged(list(pieces))  # type: ignore[no-any-return]
    return packed({one for piece in pieces for one in unpacked(piece)})


def finalised(number: int, seed: int) -> int:
    """64 bits of a hash."""
    number |= seed << 32
    number = (number ^ number >> 33) * 0xFF51AFD7ED558CCD & _MASK_64
    number = (number ^ number >> 33) * 0xC4CEB9FE1A85EC53 & _MASK_64
    return number ^ number >> 33


def parts(mixed: int) -> tuple[int, int, int, int]:
    """What chooses the slots of a finalised hash, 32 bits each, and what they have to give."""
    return mixed & _MASK_32, _turned(mixed, 21) & _MASK_32, _turned(mixed, 42) & _MASK_32, (mixed ^ mixed >> 32) & 255


def filter_of(hashes: bytes, *, compiled: bool = True) -> tuple[int, bytes | None]:
    """A seed and the filter of packed hashes with it, each of which stands there once; None where there is none."""
    third = (32 + -(-123 * (len(hashes) // 4) // 100)) // 3 + 1
    for seed in range(SEEDS):
        if compiled and _filters is not None:
            made = _filters.filter_of(hashes, third, seed)
        else:
            made = _filter([finalised(number, seed) for number in unpacked(hashes)], third)
        if made is not None:
            return seed, made
    return 0, None


def split(hashes: bytes, made: bytes, seed: int, *, compiled: bool = True) -> tuple[bytes, bytes]:
    """Packed hashes, in their order: those that a filter may hold, and those that it does not. One of no bytes holds nothing."""
    if compiled and _filters is not None:
        return _filters.split(hashes, made, seed)  # type: ignore[no-any-return]
    third = len(made) // 3
    found: tuple[list[bytes], list[bytes]] = [], []
    for number in unpacked(hashes):
        mixed = finalised(number, seed)
        is_held = third > 0 and made[(places := _places(mixed, third))[0]] ^ made[places[1]] ^ made[places[2]] == parts(mixed)[3]
        found[0 if is_held else 1].append(number.to_bytes(4, "big"))
    return b"".join(found[0]), b"".join(found[1])


def _filter(mixed: Sequence[int], third: int) -> bytes | None:
    counts, sums = [0] * (3 * third), [0] * (3 * third)
    for one in mixed:
        for place in _places(one, third):
            counts[place] += 1
            sums[place] ^= one
    alone = [place for place, count in enumerate(counts) if count == 1]
    order: list[tuple[int, int]] = []
    while alone:
        place = alone.pop()
        if counts[place] != 1:
            continue
        one = sums[place]
        order.append((place, one))
        for other in _places(one, third):
            counts[other] -= 1
            sums[other] ^= one
            if counts[other] == 1:
                alone.append(other)
    if len(order) != len(mixed):
        return None
    slots = bytearray(3 * third)
    for place, one in reversed(order):
        first, second, last = _places(one, third)
        slots[place] = parts(one)[3] ^ slots[first] ^ slots[second] ^ slots[last]
    return bytes(slots)


def _places(mixed: int, third: int) -> tuple[int, int, int]:
    first, second, last, _ = parts(mixed)
    return first * third >> 32, third + (second * third >> 32), 2 * third + (last * third >> 32)


def _turned(number: int, by: int) -> int:
    return (number << by | number >> (64 - by)) & _MASK_64


def _key_crc(key: str, of_event: bool) -> int:
    return crc32(_text(key), crc32(_EVENT) if of_event else 0)


def _text(value: str) -> bytes:
    return orjson.dumps(value)[1:-1]
