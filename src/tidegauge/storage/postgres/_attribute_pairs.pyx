# cython: cdivision=True
"""Hashes of attributes, as ``attribute_pairs`` makes them; the same numbers.

What is read is JSON of our own decoders. All the same every byte is read after a look at the end of its object; what is not JSON is told by
an outcome, upon which nothing is known of the spans' attributes.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM
from cpython.ref cimport PyObject

from tidegauge.storage.postgres._hash_table cimport Table, _add, _fmix, _packed, _table_open
from tidegauge.storage.postgres._json_text cimport Text, _skip, _skip_nested, _string, _word

cdef extern from "Python.h":
    double PyOS_string_to_double(const char *s, char **endptr, PyObject *overflow_exception) except? -1.0

cdef enum:
    KEYS = 512  # How many keys of a piece are told; a power of two.
    PLACES = 32  # How many attributes of the span before are remembered.
    SPANS = 2048  # Of one piece at the most.
    STRING = 1
    INT = 2
    DOUBLE = 4
    BOOL = 8
    ARRAY = 16
    KVLIST = 32
    EMPTY = 64

cdef int64_t HOUR_NS = 3600000000000
cdef uint32_t[8][256] TABLES


cdef double[16] POWERS
POWERS[:] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15]


cdef void _make_tables() noexcept:
    cdef uint32_t crc
    cdef int number, place
    for number in range(256):
        crc = <uint32_t>number
        for place in range(8):
            crc = (crc >> 1) ^ (0xEDB88320U if crc & 1 else 0)
        TABLES[0][number] = crc
    for number in range(256):
        for place in range(1, 8):
            TABLES[place][number] = (TABLES[place - 1][number] >> 8) ^ TABLES[0][TABLES[place - 1][number] & 255]


_make_tables()


cdef uint32_t _crc(const uint8_t *at, size_t size, uint32_t before) noexcept nogil:
    """``zlib.crc32``, eight bytes at a time."""
    cdef uint32_t crc = ~before, low
    while size >= 8:
        low = crc ^ (<uint32_t>at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16 | <uint32_t>at[3] << 24)
        crc = (
            TABLES[7][low & 255] ^ TABLES[6][low >> 8 & 255] ^ TABLES[5][low >> 16 & 255] ^ TABLES[4][low >> 24]
            ^ TABLES[3][at[4]] ^ TABLES[2][at[5]] ^ TABLES[1][at[6]] ^ TABLES[0][at[7]]
        )
        at += 8
        size -= 8
    while size:
        crc = crc >> 8 ^ TABLES[0][(crc ^ at[0]) & 255]
        at += 1
        size -= 1
    return ~crc


cdef struct Key:
    Text text
    uint32_t crc
    int of_event
    int types


cdef struct Member:
    # An attribute of the span before: its whole text, the part up to its value, and which key it is, -1 for one that is not told.
    Text text
    size_t head
    uint32_t crc
    int key


cdef class _Piece:
    """The attributes of spans of one application and one hour."""

    cdef Table hashes
    cdef Key[KEYS] keys
    cdef int known  # of the keys
    cdef uint16_t[2 * KEYS] index  # by open addressing: the number of a key, from 1 on
    cdef Member[PLACES] before  # members of the span before, by place: most are the same again
    cdef bint unreadable
    cdef object application
    cdef int64_t hour, start, end
    cdef int count

    def __cinit__(self, object application, int64_t hour, int64_t start):
        self.hashes.slots = NULL
        _table_open(&self.hashes, 1024)
        self.application, self.hour, self.start, self.end = application, hour, start, start

    def __dealloc__(self):
        free(self.hashes.slots)

    cdef int add(self, bytes attributes, bytes events) except -1:
        """Add a span's attributes, and those of its events."""
        if attributes is None:
            raise TypeError("a span without an object of attributes")
        cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(attributes)
        cdef const uint8_t *end = at + PyBytes_GET_SIZE(attributes)
        self.count += 1
        if not self.object(&at, end, 0, self.before):
            self.unreadable = True
        if events is not None:
            at = <const uint8_t *>PyBytes_AS_STRING(events)
            end = at + PyBytes_GET_SIZE(events)
            if not self.events(&at, end):
                self.unreadable = True
        return 0

    cdef bint object(self, const uint8_t **place, const uint8_t *end, int of_event, Member *before) except -1:
        """Read an object of attributes; false where it is none. ``before`` are PLACES of the object before, or NULL."""
        cdef const uint8_t *at = place[0]
        cdef int number = 0
        cdef Member nobody
        cdef Member *member
        if at >= end or at[0] != 0x7B:
            return False
        at += 1
        if at < end and at[0] == 0x7D:
            place[0] = at + 1
            return True
        while True:
            if before != NULL and number < PLACES:
                member = &before[number]
            else:
                member = &nobody
                member.head = member.text.size = 0
            if (
                member.text.size != 0 and <size_t>(end - at) > member.text.size
                and (at[member.text.size] == 0x2C or at[member.text.size] == 0x7D)
                and memcmp(at, member.text.at, member.text.size) == 0
            ):
                at += member.text.size
            elif not self.member(&at, end, of_event, member):
                return False
            number += 1
            if at >= end:
                return False
            if at[0] == 0x7D:
                place[0] = at + 1
                return True
            if at[0] != 0x2C:
                return False
            at += 1

    cdef bint member(self, const uint8_t **place, const uint8_t *end, int of_event, Member *member) except -1:
        """Read a key and its value; ``member`` is the one that stood here before, and becomes this one."""
        cdef Text key, value
        cdef const uint8_t *start = place[0]
        cdef const uint8_t *at = start
        cdef uint8_t first
        cdef uint32_t crc
        cdef int kind
        cdef double number = 0.0
        if member.head != 0 and <size_t>(end - at) > member.head and memcmp(at, member.text.at, member.head) == 0:
            at += member.head
            crc = member.crc
        else:
            member.head = member.text.size = 0
            if not _string(&at, end, &key) or end - at < 2 or at[0] != 0x3A:
                return False
            at += 1
            crc = _crc(key.at, key.size, EVENT if of_event else 0)
            _add(&self.hashes, crc)
            # With where it stands: should its value be unreadable, the next one is compared with this head, not with a text before it.
            member.text.at, member.head = start, <size_t>(at - start)
            member.crc, member.key = crc, self.place_of(&key, crc, of_event)
        first = at[0]
        if first == 0x22:
            if not _string(&at, end, &value):
                return False
            # With the three bytes before it: quote, colon, quote.
            _add(&self.hashes, _crc(value.at - 3, value.size + 3, crc))
            kind = STRING
        elif first == 0x74 or first == 0x66:
            if not _word(&at, end, b"true" if first == 0x74 else b"false"):
                return False
            _add(&self.hashes, _number_hash(1.0 if first == 0x74 else 0.0, crc))
            kind = BOOL
        elif first == 0x6E:
            if not _word(&at, end, b"null"):
                return False
            kind = EMPTY
        elif first == 0x5B or first == 0x7B:
            if not _skip_nested(&at, end):
                return False
            kind = ARRAY if first == 0x5B else KVLIST
        else:
            kind = _number(&at, end, &number)
            if not kind:
                return False
            _add(&self.hashes, _number_hash(number, crc))
        if member.key >= 0:
            self.keys[member.key].types |= kind
        member.text.at, member.text.size = start, <size_t>(at - start)
        place[0] = at
        return True

    cdef int place_of(self, const Text *text, uint32_t crc, int of_event) noexcept:
        """Which of the keys it is; -1 where there is no more room, and it is not told."""
        cdef uint32_t slot = (crc * 0x9E3779B1U >> 9) & (2 * KEYS - 1)
        cdef int number
        while self.index[slot]:
            number = self.index[slot] - 1
            if self.keys[number].crc == crc and self.keys[number].of_event == of_event:
                return number
            slot = (slot + 1) & (2 * KEYS - 1)
        if self.known >= KEYS:
            return -1
        number = self.known
        self.known += 1
        self.keys[number] = Key(text[0], crc, of_event, 0)
        self.index[slot] = <uint16_t>(number + 1)
        return number

    cdef bint events(self, const uint8_t **place, const uint8_t *end) except -1:
        """Read an array of events for their attributes."""
        cdef const uint8_t *at = place[0]
        if at >= end or at[0] != 0x5B:
            return False
        at += 1
        if at < end and at[0] == 0x5D:
            return True
        while True:
            if not self.event(&at, end) or at >= end:
                return False
            if at[0] == 0x5D:
                return True
            if at[0] != 0x2C:
                return False
            at += 1

    cdef bint event(self, const uint8_t **place, const uint8_t *end) except -1:
        cdef const uint8_t *at = place[0]
        cdef Text key
        if at >= end or at[0] != 0x7B:
            return False
        at += 1
        if at < end and at[0] == 0x7D:
            place[0] = at + 1
            return True
        while True:
            if not _string(&at, end, &key) or at >= end or at[0] != 0x3A:
                return False
            at += 1
            if key.size == 10 and memcmp(key.at, b"attributes", 10) == 0:
                if not self.object(&at, end, 1, NULL):
                    return False
            elif not _skip(&at, end):
                return False
            if at >= end:
                return False
            if at[0] == 0x7D:
                place[0] = at + 1
                return True
            if at[0] != 0x2C:
                return False
            at += 1

    cdef tuple told(self, object known):
        """The piece as ``attribute_pairs`` tells it."""
        cdef uint64_t signature = 0
        cdef int place
        cdef Key *key
        for place in range(self.known):
            key = &self.keys[place]
            if key.types:
                signature += _fmix(<uint64_t>(key.crc if key.crc else 1) | <uint64_t>key.types << 32 | <uint64_t>key.of_event << 40)
        keys = None
        if (self.application, signature) not in known:
            keys = []
            for place in range(self.known):
                key = &self.keys[place]
                if key.types:
                    keys.append((bool(key.of_event), (<const char *>key.text.at)[:key.text.size], key.types))
            keys.sort()
        return (
            self.application, self.start, self.end, self.count, None if self.unreadable else _packed(&self.hashes), signature, keys,
        )


cdef uint32_t EVENT = _crc(<const uint8_t *>b"\x01", 1, 0)


cdef uint32_t _number_hash(double number, uint32_t crc) noexcept nogil:
    cdef uint8_t text[10]
    cdef uint64_t bits
    cdef int place
    if number == 0.0:
        number = 0.0
        bits = 0
    else:
        memcpy(&bits, &number, 8)
    text[0], text[1] = 0x22, 0x3A
    for place in range(8):
        text[2 + place] = <uint8_t>(bits >> (56 - 8 * place))
    return _crc(text, 10, crc)


cdef int _number(const uint8_t **place, const uint8_t *end, double *number) except -1:
    """Read a number, rounded to a double; INT, DOUBLE, or 0 where it is none.

    Behind an object's last byte Python keeps a NUL, at which reading ends in any case.
    """
    cdef const uint8_t *at = place[0]
    cdef const uint8_t *first
    cdef char *until = NULL
    cdef int64_t whole = 0
    cdef int decimals = 0
    cdef bint negative = at < end and at[0] == 0x2D
    if negative:
        at += 1
    first = at
    while at < end and 0x30 <= at[0] <= 0x39 and at - first < 18:
        whole = 10 * whole + (at[0] - 0x30)
        at += 1
    if at == first:
        return 0
    if at < end and (at[0] == 0x2C or at[0] == 0x7D):
        number[0] = <double>(-whole if negative else whole)
        place[0] = at
        return INT
    if at < end and at[0] == 0x2E and at - first < 15:
        at += 1
        while at < end and 0x30 <= at[0] <= 0x39 and at - first < 16:
            whole = 10 * whole + (at[0] - 0x30)
            decimals += 1
            at += 1
        if at < end and (at[0] == 0x2C or at[0] == 0x7D):
            # At most 15 digits: both are doubles without rounding, so that only the division rounds.
            number[0] = <double>(-whole if negative else whole) / POWERS[decimals]
            place[0] = at
            return DOUBLE
    number[0] = PyOS_string_to_double(<const char *>place[0], &until, NULL)
    if until == NULL or <const uint8_t *>until > end:
        return 0
    cdef int kind = INT
    at = place[0]
    while at < <const uint8_t *>until:
        if at[0] == 0x2E or at[0] == 0x65 or at[0] == 0x45:
            kind = DOUBLE
        at += 1
    place[0] = at
    return kind


def pieces(list attributes, list events, list starts, list resources, list applications, object known):
    """``attribute_pairs.pieces``, of columns of a batch; ``applications`` are those of its resources."""
    cdef Py_ssize_t row, count = len(attributes)
    cdef dict open_pieces = {}
    cdef list told = []
    cdef _Piece piece = None
    cdef int64_t start, hour, resource, last = -1
    if len(events) != count or len(starts) != count or len(resources) != count:
        raise ValueError("columns of different lengths")
    for row in range(count):
        start = <object>PyList_GET_ITEM(starts, row)
        resource = <object>PyList_GET_ITEM(resources, row)
        hour = start // HOUR_NS
        if piece is None or resource != last or hour != piece.hour:
            last = resource
            application = applications[resource]
            piece = open_pieces.get((application, hour))
            if piece is None:
                piece = open_pieces[application, hour] = _Piece(application, hour, start)
        piece.add(<object>PyList_GET_ITEM(attributes, row), <object>PyList_GET_ITEM(events, row))
        if start < piece.start:
            piece.start = start
        if start > piece.end:
            piece.end = start
        if piece.count == SPANS:
            told.append(piece.told(known))
            del open_pieces[piece.application, piece.hour]
            piece = None
    for piece in open_pieces.values():
        told.append(piece.told(known))
    return told
