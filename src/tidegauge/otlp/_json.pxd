"""Attributes (opentelemetry/proto/common/v1/common.proto) to JSON, byte for byte as orjson writes what ``values.JsonColumns`` gives it.

Everything here is inline: whoever cimports it needs nothing at run time. ``dumps`` is orjson's. An attribute is ODD where jsonb would not
give it back as it was sent (``values`` tells when), and where it is not as plain as what is read here.
"""

cimport cython
from libc.math cimport fabs, llrint
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from tidegauge._buffer cimport Buffer, append, put, put_byte, reserve, taken
from tidegauge.otlp._wire cimport (
    DECLINED, ESCAPED, FINE, FIXED64, LENGTH, NUL, ODD, VARINT, WIDE, Cursor, is_utf8, left, read_double, read_inner, read_tag, read_varint,
    text_of,
)


cdef enum:
    KEYS = 128  # How many attributes are told apart here; an item that has more is read by Python.
    LONGEST_KEY = 4096  # Longer ones, which may take long to compare, likewise.
    DEPTH = 6  # How deep values are read; what is deeper is ODD.


cdef struct Keys:
    # The keys of one object, as places in the request.
    int count
    const uint8_t *at[KEYS]
    size_t size[KEYS]


cdef inline bint is_new_key(Keys *keys, const Cursor *key) noexcept nogil:
    """Remember a key; false where it stands twice, is too long, or where there are too many to remember."""
    cdef size_t size = left(key)
    cdef int count = keys.count, place
    if count >= KEYS or size > LONGEST_KEY:
        return False
    for place in range(count):
        if keys.size[place] == size and memcmp(keys.at[place], key.at, size) == 0:
            return False
    keys.at[count] = key.at
    keys.size[count] = size
    keys.count = count + 1
    return True


cdef inline int put_escaped(Buffer *out, uint8_t byte) noexcept:
    """One character of ASCII; needs room for 6 bytes."""
    cdef const char *hex_digits = "0123456789abcdef"
    cdef uint8_t short_form = 0
    if byte >= 0x20 and byte != 0x22 and byte != 0x5C:
        put_byte(out, byte)
        return 0
    if byte == 0x22 or byte == 0x5C:
        short_form = byte
    elif byte == 0x08:
        short_form = 0x62  # b
    elif byte == 0x09:
        short_form = 0x74  # t
    elif byte == 0x0A:
        short_form = 0x6E  # n
    elif byte == 0x0C:
        short_form = 0x66  # f
    elif byte == 0x0D:
        short_form = 0x72  # r
    if short_form:
        put_byte(out, 0x5C)
        put_byte(out, short_form)
    else:
        put(out, "\\u00", 4)
        put_byte(out, hex_digits[byte >> 4])
        put_byte(out, hex_digits[byte & 15])
    return 0


cdef inline int write_string(Buffer *out, const Cursor *text) except -1:
    """A string with its quotes. DECLINED where it is not UTF-8, ODD where it has NUL."""
    cdef int found = text_of(text)
    cdef const uint8_t *at = text.at
    cdef const uint8_t *until
    if found & WIDE and not is_utf8(text):
        return DECLINED
    if found & NUL:
        return ODD
    reserve(out, left(text) + 2)
    put_byte(out, 0x22)
    if not found & ESCAPED:
        put(out, at, left(text))
    else:
        while at < text.end:
            until = text.end if text.end - at < 1024 else at + 1024
            reserve(out, <size_t>(6 * (until - at)))
            while at < until:
                put_escaped(out, at[0])
                at += 1
        reserve(out, 1)
    put_byte(out, 0x22)
    return FINE


cdef inline int write_integer(Buffer *out, int64_t value) except -1:
    """A decimal number."""
    cdef uint8_t digits[20]
    cdef int first = 20
    cdef uint64_t rest = <uint64_t>value if value >= 0 else 0 - <uint64_t>value
    while True:
        first -= 1
        digits[first] = <uint8_t>(0x30 + rest % 10)
        rest //= 10
        if not rest:
            break
    reserve(out, 21)
    if value < 0:
        put_byte(out, 0x2D)
    put(out, &digits[first], 20 - first)
    return 0


@cython.cdivision(True)
cdef inline int write_short_decimal(Buffer *out, double value) except -1:
    """A number that is a decimal of at most 15 digits, 6 of them after the point; 1 where it is none, and nothing is written.

    No two decimals of 15 digits are the same double, so the one that is found is the shortest there is.
    """
    cdef double size = fabs(value)
    if not 1e-3 <= size < 1e9:
        return 1
    cdef uint64_t scaled = <uint64_t>llrint(size * 1e6), part
    if <double>scaled / 1e6 != size:
        return 1
    part = scaled % 1000000
    cdef uint8_t digits[6]
    cdef int count = 6, place
    for place in range(5, -1, -1):
        digits[place] = <uint8_t>(0x30 + part % 10)
        part //= 10
    while count > 1 and digits[count - 1] == 0x30:
        count -= 1
    reserve(out, 1)
    if value < 0:
        put_byte(out, 0x2D)
    write_integer(out, <int64_t>(scaled // 1000000))
    reserve(out, 7)
    put_byte(out, 0x2E)
    put(out, digits, count)
    return 0


cdef inline int write_double(Buffer *out, double value, object dumps) except -1:
    """A float, as orjson writes it. ODD where jsonb does not keep it: -0.0, NaN, and from 1e16 on."""
    cdef bytes text
    cdef int64_t bits
    memcpy(&bits, &value, 8)
    if value == 0.0:
        if bits:
            return ODD
        append(out, "0.0", 3)
        return FINE
    if not -1e16 < value < 1e16:
        return ODD
    if write_short_decimal(out, value):
        text = dumps(value)
        append(out, PyBytes_AS_STRING(text), <size_t>PyBytes_GET_SIZE(text))
    return FINE


cdef inline int write_value(Buffer *out, Cursor value, object dumps, int depth) except -1:
    """An AnyValue. What has been written of one that is not FINE means nothing."""
    cdef uint32_t number
    cdef int wire
    cdef uint64_t bits
    cdef double real
    cdef Cursor inner
    cdef int outcome = FINE
    if value.at == value.end:
        append(out, "null", 4)
        return FINE
    if not read_tag(&value, &number, &wire):
        return DECLINED
    if number == 1 and wire == LENGTH:
        if not read_inner(&value, &inner):
            return DECLINED
        outcome = write_string(out, &inner)
    elif number == 3 and wire == VARINT:
        if not read_varint(&value, &bits):
            return DECLINED
        write_integer(out, <int64_t>bits)
    elif number == 2 and wire == VARINT:
        if not read_varint(&value, &bits):
            return DECLINED
        if bits:
            append(out, "true", 4)
        else:
            append(out, "false", 5)
    elif number == 4 and wire == FIXED64:
        if not read_double(&value, &real):
            return DECLINED
        outcome = write_double(out, real, dumps)
    elif (number == 5 or number == 6) and wire == LENGTH and depth < DEPTH:
        if not read_inner(&value, &inner):
            return DECLINED
        outcome = write_array(out, inner, dumps, depth + 1) if number == 5 else write_pairs(out, inner, dumps, depth + 1)
    else:
        return ODD
    # A second value would be the one that counts.
    return ODD if outcome == FINE and value.at != value.end else outcome


cdef inline int write_array(Buffer *out, Cursor array, object dumps, int depth) except -1:
    """An ArrayValue."""
    cdef uint32_t number
    cdef int wire, outcome
    cdef Cursor inner
    cdef bint is_first = True
    append(out, "[", 1)
    while array.at < array.end:
        if not read_tag(&array, &number, &wire):
            return DECLINED
        if number != 1 or wire != LENGTH:
            return ODD
        if not read_inner(&array, &inner):
            return DECLINED
        if not is_first:
            append(out, ",", 1)
        is_first = False
        outcome = write_value(out, inner, dumps, depth)
        if outcome:
            return outcome
    append(out, "]", 1)
    return FINE


cdef inline int write_pairs(Buffer *out, Cursor pairs, object dumps, int depth) except -1:
    """A KeyValueList."""
    cdef uint32_t number
    cdef int wire, outcome
    cdef Cursor inner
    cdef Keys keys
    keys.count = 0
    append(out, "{", 1)
    while pairs.at < pairs.end:
        if not read_tag(&pairs, &number, &wire):
            return DECLINED
        if number != 1 or wire != LENGTH:
            return ODD
        if not read_inner(&pairs, &inner):
            return DECLINED
        outcome = write_pair(out, &keys, inner, dumps, depth)
        if outcome:
            return outcome
    append(out, "}", 1)
    return FINE


cdef inline int write_pair(Buffer *out, Keys *keys, Cursor pair, object dumps, int depth) except -1:
    """A KeyValue into an object that has been begun, with a comma before it if it is not the first.

    ODD also where its key stands twice, or where its value does not come after its key.
    """
    cdef uint32_t number
    cdef int wire, outcome
    cdef Cursor key, value
    if not read_tag(&pair, &number, &wire):
        # An empty KeyValue, which no sender makes, is odd.
        return ODD if pair.at == pair.end else DECLINED
    if number != 1 or wire != LENGTH:
        return ODD
    if not read_inner(&pair, &key) or (pair.at < pair.end and not read_tag(&pair, &number, &wire)):
        return DECLINED
    if number != 2 or wire != LENGTH:
        # No value at all is null.
        return ODD
    if not read_inner(&pair, &value):
        return DECLINED
    if pair.at != pair.end or not is_new_key(keys, &key):
        return ODD
    if keys.count > 1:
        append(out, ",", 1)
    outcome = write_string(out, &key)
    if outcome:
        return outcome
    append(out, ":", 1)
    return write_value(out, value, dumps, depth)


cdef struct Attributes:
    # The attributes of one item, which stand among its other fields.
    Keys keys
    Buffer *out
    size_t start
    int outcome


cdef inline int attributes_begin(Attributes *attributes, Buffer *out) except -1:
    """Begin the object of an item; ``out`` may hold other things already, and is as before after :func:`attributes_end`."""
    attributes.keys.count = 0
    attributes.out = out
    attributes.start = out.used
    attributes.outcome = FINE
    append(out, "{", 1)
    return 0


cdef inline int attributes_add(Attributes *attributes, Cursor pair, object dumps) except -1:
    """Add a KeyValue; the worst outcome so far. After one that is not FINE nothing more is read."""
    if attributes.outcome == FINE:
        attributes.outcome = write_pair(attributes.out, &attributes.keys, pair, dumps, 0)
    return attributes.outcome


cdef inline object attributes_end(Attributes *attributes):
    """The object as bytes; None where an attribute was not FINE."""
    cdef object found = None
    if attributes.outcome == FINE:
        append(attributes.out, "}", 1)
        found = taken(attributes.out, attributes.start)
    attributes.out.used = attributes.start
    return found
