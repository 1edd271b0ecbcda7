"""Waiting for what other processes do."""

import time
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session", name="until")
def _until() -> Callable[..., None]:
    return eventually


def eventually(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Wait for a condition; the deadline is for a broken product alone."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            pytest.fail(f"waited {seconds} s in vain until {what}")
        time.sleep(0.05)
