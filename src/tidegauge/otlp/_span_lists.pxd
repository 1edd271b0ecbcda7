"""Events and links of a span (opentelemetry/proto/trace/v1/trace.proto) to JSON arrays, as ``spans._events`` and ``spans._links`` make them.

Everything here is inline: whoever cimports it needs nothing at run time. ``dumps`` is orjson's.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tidegauge._buffer cimport Buffer, append, put_byte, reserve
from tidegauge.otlp._json cimport Attributes, attributes_add, attributes_begin, write_integer, write_string
from tidegauge.otlp._wire cimport (
    DECLINED, FINE, FIXED32, FIXED64, LENGTH, ODD, VARINT, Cursor, left, read_fixed32, read_fixed64, read_inner, read_tag, read_varint,
    skip_value,
)


cdef inline int write_event(Buffer *out, Cursor event, object dumps) except -1:
    """An event into an array that has been begun, or begins with it. Once one is not FINE, what is written means nothing."""
    cdef uint32_t number, seen = 0
    cdef int wire, outcome
    cdef uint64_t time = 0, dropped = 0
    cdef Cursor rest = event, inner, name = Cursor(event.at, event.at)
    while rest.at < rest.end:
        if not read_tag(&rest, &number, &wire):
            return DECLINED
        if number == 3 or number > 4:
            # Attributes are read below.
            if not skip_value(&rest, wire) or (number == 3 and wire != LENGTH):
                return DECLINED
            continue
        if seen >> number & 1:
            return DECLINED
        seen |= <uint32_t>1 << number
        if not (
            (number == 1 and wire == FIXED64 and read_fixed64(&rest, &time))
            or (number == 2 and wire == LENGTH and read_inner(&rest, &name))
            or (number == 4 and wire == VARINT and read_varint(&rest, &dropped))
        ):
            return DECLINED
    if time > 0x7FFFFFFFFFFFFFFFULL or dropped > 0xFFFFFFFFU:
        return ODD
    append(out, b',{"name":' if out.used else b'[{"name":', 9)
    outcome = write_string(out, &name)
    if outcome:
        return outcome
    append(out, b',"time_unix_nano":"', 19)
    write_integer(out, <long long>time)
    append(out, b'","attributes":', 15)
    outcome = write_attributes(out, event, 3, dumps)
    if dropped:
        append(out, b',"dropped_attributes_count":', 28)
        write_integer(out, <long long>dropped)
    append(out, b"}", 1)
    return outcome


cdef inline int write_link(Buffer *out, Cursor link, object dumps) except -1:
    """A link, likewise."""
    cdef uint32_t number, seen = 0, flags = 0
    cdef int wire, outcome
    cdef uint64_t dropped = 0
    cdef Cursor rest = link, trace_id, span_id, state
    trace_id = span_id = state = Cursor(link.at, link.at)
    while rest.at < rest.end:
        if not read_tag(&rest, &number, &wire):
            return DECLINED
        if number == 4 or number > 6:
            if not skip_value(&rest, wire) or (number == 4 and wire != LENGTH):
                return DECLINED
            continue
        if seen >> number & 1:
            return DECLINED
        seen |= <uint32_t>1 << number
        if not (
            (number == 1 and wire == LENGTH and read_inner(&rest, &trace_id))
            or (number == 2 and wire == LENGTH and read_inner(&rest, &span_id))
            or (number == 3 and wire == LENGTH and read_inner(&rest, &state))
            or (number == 5 and wire == VARINT and read_varint(&rest, &dropped))
            or (number == 6 and wire == FIXED32 and read_fixed32(&rest, &flags))
        ):
            return DECLINED
    if dropped > 0xFFFFFFFFU:
        return ODD
    append(out, b',{"trace_id":"' if out.used else b'[{"trace_id":"', 14)
    write_hex(out, &trace_id)
    append(out, b'","span_id":"', 13)
    write_hex(out, &span_id)
    append(out, b'","attributes":', 15)
    outcome = write_attributes(out, link, 4, dumps)
    if state.at != state.end and outcome == FINE:
        append(out, b',"trace_state":', 15)
        outcome = write_string(out, &state)
    if flags:
        append(out, b',"flags":', 9)
        write_integer(out, flags)
    if dropped:
        append(out, b',"dropped_attributes_count":', 28)
        write_integer(out, <long long>dropped)
    append(out, b"}", 1)
    return outcome


cdef inline int write_attributes(Buffer *out, Cursor message, uint32_t field, object dumps) except -1:
    """The object of a message's attributes, which are its ``field``; all fields have been read once."""
    cdef uint32_t number
    cdef int wire
    cdef Cursor inner
    cdef Attributes attributes
    attributes_begin(&attributes, out)
    while message.at < message.end and read_tag(&message, &number, &wire):
        if number != field:
            skip_value(&message, wire)
        elif read_inner(&message, &inner):
            attributes_add(&attributes, inner, dumps)
    append(out, b"}", 1)
    return attributes.outcome


cdef inline int write_hex(Buffer *out, const Cursor *data) except -1:
    cdef const char *digits = b"0123456789abcdef"
    cdef const uint8_t *at = data.at
    reserve(out, 2 * left(data))
    while at < data.end:
        put_byte(out, <uint8_t>digits[at[0] >> 4])
        put_byte(out, <uint8_t>digits[at[0] & 15])
        at += 1
    return 0
