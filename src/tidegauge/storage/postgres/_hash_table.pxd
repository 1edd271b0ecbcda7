"""Sets of hashes of attributes. Everything here is inline: whoever cimports it needs nothing at run time."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize


cdef enum:
    SORTED = 4096  # tidegauge.attribute_hashes_may_match reads a part of what is longer.


cdef struct Table:
    # Numbers other than 0, by open addressing.
    uint32_t *slots
    size_t mask
    size_t used


cdef inline int _table_open(Table *table, size_t slots) except -1:
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


cdef inline int _table_grow(Table *table) except -1:
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


cdef inline int _sort(uint32_t *numbers, size_t count) except -1:
    """Ascending, by the lowest eleven bits first: three times through, whatever they are."""
    cdef uint32_t *other = <uint32_t *>calloc(count + 1, sizeof(uint32_t))
    cdef size_t *places = <size_t *>calloc(2048, sizeof(size_t))
    cdef uint32_t *source = numbers
    cdef uint32_t *target = other
    cdef size_t each, place, before
    cdef int turn
    try:
        if other == NULL or places == NULL:
            raise MemoryError
        for turn in range(3):
            memset(places, 0, 2048 * sizeof(size_t))
            for each in range(count):
                places[source[each] >> 11 * turn & 2047] += 1
            before = 0
            for place in range(2048):
                before += places[place]
                places[place] = before - places[place]
            for each in range(count):
                place = source[each] >> 11 * turn & 2047
                target[places[place]] = source[each]
                places[place] += 1
            source, target = target, source
        memcpy(numbers, other, count * sizeof(uint32_t))
        return 0
    finally:
        free(other)
        free(places)


cdef inline bytes _packed(Table *table):
    """Its numbers, four bytes each, big-endian; ascending where they are more than SORTED, in any order else."""
    cdef size_t slot, count = 0
    cdef uint32_t number
    cdef bytes found = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(4 * table.used))
    cdef uint8_t *at = <uint8_t *>PyBytes_AS_STRING(found)
    cdef uint32_t *numbers = table.slots
    # Those that are there move to the front: the table is of no more use.
    for slot in range(table.mask + 1):
        number = numbers[slot]
        if number:
            numbers[count] = number
            count += 1
    table.mask = table.used = 0
    if count > SORTED:
        _sort(numbers, count)
    for slot in range(count):
        number = numbers[slot]
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
