"""Python's objects of bytes of a request, which have been checked.

Everything here is inline: whoever cimports it needs nothing at run time.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8

from tidegauge.otlp._wire cimport DECLINED, FINE, NUL, ODD, WIDE, Cursor, is_utf8, left, text_of


cdef inline int text_outcome(const Cursor *text) noexcept:
    """DECLINED for a text that is not UTF-8, ODD for one with NUL."""
    cdef int found = text_of(text)
    if found & WIDE and not is_utf8(text):
        return DECLINED
    return ODD if found & NUL else FINE


cdef inline bytes bytes_of(const Cursor *data):
    return PyBytes_FromStringAndSize(<const char *>data.at, <Py_ssize_t>left(data))


cdef inline str string_of(const Cursor *text):
    """A text. Raises UnicodeDecodeError where it was not checked and is not UTF-8."""
    if text.at == text.end:
        return ""
    return PyUnicode_DecodeUTF8(<const char *>text.at, <Py_ssize_t>left(text), NULL)
