# cython: cdivision=True
"""Hashes of attributes, as ``attribute_pairs`` and ``attribute_hashes`` make them; the same numbers.

What is read is JSON of our own decoders. All the same every byte is read after a look at the end of its object; what is not JSON is told by
an outcome, upon which nothing is known of the spans' attributes.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM
from cpython.ref cimport PyObject

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


cdef struct Text:
    # A piece of JSON in an object that Python holds.
    const uint8_t *at
    size_t size


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


cdef struct Table:
    # Numbers other than 0, by open addressing.
    uint32_t *slots
    size_t mask
    size_t used


cdef int _table_open(Table *table, size_t slots) except -1:
    table.slots = <uint32_t *>calloc(slots, sizeof(uint32_t))
    if table.slots == NULL:
        raise MemoryError
    table.mask = slots - 1
    table.used = 0
    return 0


cdef inline size_t _place(const Table *table, uint32_t number) noexcept nogil:
    """Where the number is, or would be."""
    cdef size_t place = (number * 0x9E3779B1U >> 7) & table.mask
    while table.slots[place] != 0 and table.slots[place] != number:
        place = (place + 1) & table.mask
    return place


cdef int _table_grow(Table *table) except -1:
    cdef Table wider
    cdef size_t slot
    _table_open(&wider, 4 * (table.mask + 1))
    for slot in range(table.mask + 1):
        if table.slots[slot]:
            wider.slots[_place(&wider, table.slots[slot])] = table.slots[slot]
    wider.used = table.used
    free(table.slots)
    table[0] = wider
    return 0


cdef inline int _add(Table *table, uint32_t number) except -1:
    if number == 0:
        number = 1
    cdef size_t place = _place(table, number)
    if table.slots[place] == 0:
        table.slots[place] = number
        table.used += 1
        if 2 * table.used > table.mask:
            _table_grow(table)
    return 0


cdef bytes _packed(Table *table):
    """Its numbers, four bytes each, big-endian, in any order."""
    cdef size_t slot
    cdef uint32_t number
    cdef bytes found = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(4 * table.used))
    cdef uint8_t *at = <uint8_t *>PyBytes_AS_STRING(found)
    for slot in range(table.mask + 1):
        number = table.slots[slot]
        if number == 0:
            continue
        at[0] = <uint8_t>(number >> 24)
        at[1] = <uint8_t>(number >> 16)
        at[2] = <uint8_t>(number >> 8)
        at[3] = <uint8_t>number
        at += 4
    return found


cdef inline uint64_t _fmix(uint64_t number) noexcept nogil:
    """MurmurHash3's finaliser."""
    number = (number ^ number >> 33) * 0xFF51AFD7ED558CCDULL
    number = (number ^ number >> 33) * 0xC4CEB9FE1A85EC53ULL
    return number ^ number >> 33


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
            member.crc, member.head, member.key = crc, <size_t>(at - start), self.place_of(&key, crc, of_event)
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


cdef bint _string(const uint8_t **place, const uint8_t *end, Text *text) noexcept nogil:
    """Read a string; what stands between its quotes."""
    cdef const uint8_t *at = place[0]
    if at >= end or at[0] != 0x22:
        return False
    at += 1
    text.at = at
    at = <const uint8_t *>memchr(at, 0x22, <size_t>(end - at))
    if at == NULL:
        return False
    if at[-1] == 0x5C:
        # An escaped quote, or an escaped backslash before the last one.
        at = text.at
        while at < end and at[0] != 0x22:
            at += 2 if at[0] == 0x5C else 1
        if at >= end:
            return False
    text.size = <size_t>(at - text.at)
    place[0] = at + 1
    return True


cdef bint _word(const uint8_t **place, const uint8_t *end, const char *word) noexcept nogil:
    cdef size_t size = 0
    while word[size]:
        size += 1
    if <size_t>(end - place[0]) < size or memcmp(place[0], word, size) != 0:
        return False
    place[0] += size
    return True


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


cdef bint _skip_nested(const uint8_t **place, const uint8_t *end) noexcept nogil:
    """Pass an array or an object, of whose brackets only the number counts."""
    cdef const uint8_t *at = place[0]
    cdef Text text
    cdef int64_t depth = 0
    while at < end:
        if at[0] == 0x22:
            if not _string(&at, end, &text):
                return False
            continue
        if at[0] == 0x5B or at[0] == 0x7B:
            depth += 1
        elif at[0] == 0x5D or at[0] == 0x7D:
            depth -= 1
            if depth == 0:
                place[0] = at + 1
                return True
        at += 1
    return False


cdef bint _skip(const uint8_t **place, const uint8_t *end) noexcept nogil:
    """Pass a value."""
    cdef Text text
    if place[0] >= end:
        return False
    if place[0][0] == 0x22:
        return _string(place, end, &text)
    if place[0][0] == 0x5B or place[0][0] == 0x7B:
        return _skip_nested(place, end)
    while place[0] < end and place[0][0] != 0x2C and place[0][0] != 0x7D and place[0][0] != 0x5D:
        place[0] += 1
    return True


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


def merged(list pieces):
    """``attribute_hashes.merged``."""
    cdef Table table
    cdef bytes piece
    cdef const uint8_t *at
    cdef const uint8_t *end
    table.slots = NULL
    try:
        _table_open(&table, 4096)
        for piece in pieces:
            at = <const uint8_t *>PyBytes_AS_STRING(piece)
            end = at + PyBytes_GET_SIZE(piece) // 4 * 4
            while at < end:
                _add(&table, <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | at[3])
                at += 4
        return _packed(&table)
    finally:
        free(table.slots)


cdef struct Slot:
    uint64_t sum
    uint32_t count


cdef inline uint64_t _turned(uint64_t number, int by) noexcept nogil:
    return number << by | number >> (64 - by)


cdef inline void _places(uint64_t mixed, uint64_t third, uint32_t *places) noexcept nogil:
    places[0] = <uint32_t>((mixed & 0xFFFFFFFFU) * third >> 32)
    places[1] = <uint32_t>(third + ((_turned(mixed, 21) & 0xFFFFFFFFU) * third >> 32))
    places[2] = <uint32_t>(2 * third + ((_turned(mixed, 42) & 0xFFFFFFFFU) * third >> 32))


def filter_of(bytes hashes not None, uint32_t third, uint32_t seed):
    """A filter of three times ``third`` bytes as ``attribute_hashes`` tells it; None where it cannot be with this seed."""
    cdef size_t count = <size_t>PyBytes_GET_SIZE(hashes) // 4, slots = 3 * <size_t>third, each, waiting = 0, ordered = 0
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(hashes)
    cdef uint32_t[3] places
    cdef uint32_t place, number
    cdef uint64_t mixed
    cdef int turn
    cdef bytes made
    cdef uint8_t *out
    if third == 0 or third > 0x10000000U:
        raise ValueError("a filter of no size, or of too large a one")
    cdef Slot *table = <Slot *>calloc(slots, sizeof(Slot))
    # A place comes to wait once at the most: its count passes 1 once.
    cdef uint32_t *alone = <uint32_t *>calloc(slots + 1, sizeof(uint32_t))
    cdef uint32_t *order = <uint32_t *>calloc(count + 1, sizeof(uint32_t))
    cdef uint64_t *sums = <uint64_t *>calloc(count + 1, sizeof(uint64_t))
    try:
        if table == NULL or alone == NULL or order == NULL or sums == NULL:
            raise MemoryError
        for each in range(count):
            number = <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | at[3]
            at += 4
            mixed = _fmix(<uint64_t>number | <uint64_t>seed << 32)
            _places(mixed, third, places)
            for turn in range(3):
                table[places[turn]].sum ^= mixed
                table[places[turn]].count += 1
        for each in range(slots):
            if table[each].count == 1:
                alone[waiting] = <uint32_t>each
                waiting += 1
        while waiting:
            waiting -= 1
            place = alone[waiting]
            if table[place].count != 1:
                continue
            mixed = table[place].sum
            order[ordered], sums[ordered] = place, mixed
            ordered += 1
            _places(mixed, third, places)
            for turn in range(3):
                table[places[turn]].sum ^= mixed
                table[places[turn]].count -= 1
                if table[places[turn]].count == 1:
                    alone[waiting] = places[turn]
                    waiting += 1
        if ordered != count:
            return None
        made = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>slots)
        out = <uint8_t *>PyBytes_AS_STRING(made)
        memset(out, 0, slots)
        while ordered:
            ordered -= 1
            mixed = sums[ordered]
            _places(mixed, third, places)
            out[order[ordered]] = <uint8_t>(mixed ^ mixed >> 32) ^ out[places[0]] ^ out[places[1]] ^ out[places[2]]
        return made
    finally:
        free(table)
        free(alone)
        free(order)
        free(sums)
