"""Durations and sizes as people write them: types for settings, and the way back."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, ValidatorFunctionWrapHandler, WrapValidator

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d|w)")
_SIZES = ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB"))


def parse_duration(value: object) -> object:
    """``"1h30m"`` → timedelta; anything else is left to pydantic (ISO 8601, seconds).

    Raises:
        ValueError: longer than a timedelta can be.

    """
    if isinstance(value, str):
        text = value.strip().lower()
        if text and _DURATION.sub("", text).strip() == "":
            try:
                return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text)))
            except OverflowError:
                raise ValueError("that is longer than any duration can be") from None
    return value


def parse_milliseconds(value: object) -> object:
    """``"1500"`` or 1500 → 1.5 s; anything else as :func:`parse_duration`."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    return timedelta(milliseconds=value) if type(value) is int and value < 1 << 50 else parse_duration(value)


def format_duration(value: timedelta) -> str:
    """The shortest text that :func:`parse_duration` reads back: ``30d``, ``10m``, ``1.5s``."""
    seconds = value.total_seconds()
    for unit in ("d", "h", "m"):
        if seconds % _UNITS[unit] == 0:
            return f"{int(seconds // _UNITS[unit])}{unit}"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def format_size(value: int) -> str:
    """The shortest exact text that pydantic's ByteSize reads back: ``64MiB``, ``1000000``."""
    for exponent, unit in _SIZES:
        if value and value % (1 << exponent) == 0:
            return f"{value >> exponent}{unit}"
    return str(int(value))


def _at_most(longest: timedelta) -> AfterValidator:
    shortest = timedelta(milliseconds=1)

    def check(value: timedelta) -> timedelta:
        if not shortest <= value <= longest:
            raise ValueError(f"expected {format_duration(shortest)} to {format_duration(longest)}")
        return value

    return AfterValidator(check)


def _finite(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    """What is too large for pydantic's float overflows there, and only a ValueError is a fault of the value."""
    try:
        return handler(value)
    except OverflowError:
        raise ValueError("that is more than any size can be") from None


Duration = Annotated[timedelta, BeforeValidator(parse_duration), _at_most(timedelta(days=36_500))]
# As environments of web frameworks write it.
Milliseconds = Annotated[timedelta, BeforeValidator(parse_milliseconds), _at_most(timedelta(days=1))]
# PostgreSQL counts timeouts in milliseconds, in 31 bits, and takes 0 for none.
Timeout = Annotated[timedelta, BeforeValidator(parse_duration), _at_most(timedelta(days=24))]
# Pydantic reads sizes as floats, which are exact up to here.
Size = Annotated[ByteSize, WrapValidator(_finite), Field(le=1 << 50)]
