"""What tests on a real database share."""

from __future__ import annotations

import itertools
import time

import pytest

_count = itertools.count()


@pytest.fixture
def now_ns() -> int:
    """Now, in nanoseconds; different in every test."""
    return time.time_ns() + next(_count)
