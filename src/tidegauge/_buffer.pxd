"""A buffer that grows, for compiled modules: what is written is the module's own, and Python sees it only when it is whole.

Everything here is inline: whoever cimports it needs nothing at run time.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy
from cpython.bytes cimport PyBytes_FromStringAndSize


cdef struct Buffer:
    uint8_t *data
    size_t used
    size_t room


cdef inline int buffer_open(Buffer *buffer, size_t room) except -1:
    """Make an empty buffer; :func:`buffer_close` it in a ``finally``."""
    buffer.used = 0
    buffer.room = 0
    buffer.data = <uint8_t *>malloc(room if room else 1)
    if buffer.data == NULL:
        raise MemoryError
    buffer.room = room
    return 0


cdef inline void buffer_close(Buffer *buffer) noexcept:
    free(buffer.data)
    buffer.data = NULL


cdef inline int buffer_grow(Buffer *buffer, size_t more) except -1:
    """Twice the room, or as much as is asked for."""
    cdef size_t wanted = buffer.used + more
    if wanted < more or wanted > (<size_t>1 << 62):
        raise MemoryError
    if wanted < 2 * buffer.room:
        wanted = 2 * buffer.room
    cdef void *data = realloc(buffer.data, wanted)
    if data == NULL:
        raise MemoryError
    buffer.data = <uint8_t *>data
    buffer.room = wanted
    return 0


cdef inline int reserve(Buffer *buffer, size_t more) except -1:
    """Make room for so many bytes, which the ``put_…`` functions below then write without a look at it."""
    if buffer.room - buffer.used < more:
        buffer_grow(buffer, more)
    return 0


cdef inline void put(Buffer *buffer, const void *data, size_t size) noexcept:
    """Needs room."""
    memcpy(buffer.data + buffer.used, data, size)
    buffer.used += size


cdef inline int append(Buffer *buffer, const void *data, size_t size) except -1:
    """Makes room by itself."""
    reserve(buffer, size)
    put(buffer, data, size)
    return 0


cdef inline void put_byte(Buffer *buffer, uint8_t value) noexcept:
    """Needs room."""
    buffer.data[buffer.used] = value
    buffer.used += 1


# Big-endian, as PostgreSQL's binary format has them. Compilers make one instruction of the shifts.

cdef inline void put_int16(Buffer *buffer, int16_t value) noexcept:
    """Needs room for 2 bytes."""
    cdef uint16_t bits = <uint16_t>value
    cdef uint8_t *at = buffer.data + buffer.used
    at[0] = <uint8_t>(bits >> 8)
    at[1] = <uint8_t>bits
    buffer.used += 2


cdef inline void put_int32(Buffer *buffer, int32_t value) noexcept:
    """Needs room for 4 bytes."""
    cdef uint32_t bits = <uint32_t>value
    cdef uint8_t *at = buffer.data + buffer.used
    at[0] = <uint8_t>(bits >> 24)
    at[1] = <uint8_t>(bits >> 16)
    at[2] = <uint8_t>(bits >> 8)
    at[3] = <uint8_t>bits
    buffer.used += 4


cdef inline void put_int64(Buffer *buffer, int64_t value) noexcept:
    """Needs room for 8 bytes."""
    cdef uint64_t bits = <uint64_t>value
    cdef uint8_t *at = buffer.data + buffer.used
    at[0] = <uint8_t>(bits >> 56)
    at[1] = <uint8_t>(bits >> 48)
    at[2] = <uint8_t>(bits >> 40)
    at[3] = <uint8_t>(bits >> 32)
    at[4] = <uint8_t>(bits >> 24)
    at[5] = <uint8_t>(bits >> 16)
    at[6] = <uint8_t>(bits >> 8)
    at[7] = <uint8_t>bits
    buffer.used += 8


cdef inline void put_float64(Buffer *buffer, double value) noexcept:
    """Needs room for 8 bytes."""
    cdef int64_t bits
    memcpy(&bits, &value, 8)
    put_int64(buffer, bits)


cdef inline bytes taken(Buffer *buffer, size_t start):
    """What has been written since ``start``, as bytes of Python's."""
    return PyBytes_FromStringAndSize(<char *>buffer.data + start, <Py_ssize_t>(buffer.used - start))
