"""Where the product listens, and what happens where it cannot."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.servers import product as products


async def test_a_taken_address_is_told_before_anything_is_started(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match=r"ended with 2") as caught:
            await products.start(data_dir, "--otlp", f"127.0.0.1:{port}")
    assert f"cannot listen on 127.0.0.1:{port}" in str(caught.value)
    assert "TIDEGAUGE_OTLP_LISTEN" in str(caught.value)
    assert not data_dir.exists()  # noqa: ASYNC240 - one look, nobody waits
