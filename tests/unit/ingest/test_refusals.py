"""What the log tells of requests that were refused as a whole."""

from __future__ import annotations

import logging

import pytest

from tidegauge.errors import InvalidArgument
from tidegauge.ingest.refusals import RefusalLog
from tidegauge.model.batch import Signal

SECOND = 1_000_000_000


def test_one_line_in_ten_seconds_tells_of_all(caplog: pytest.LogCaptureFixture) -> None:
    now_ns = 0
    log = RefusalLog(lambda: now_ns)
    error = InvalidArgument("the body is no protobuf " + "x" * 10_000)
    with caplog.at_level(logging.WARNING):
        for second in range(12):
            now_ns = second * SECOND
            log.note(Signal.TRACES, "/v1/traces", 7, error)
        log.note(Signal.LOGS, "/v1/logs", 8, error)
    first, second_line, other = [record.getMessage() for record in caplog.records]
    assert first.startswith("a request of 7 bytes to /v1/traces was refused: the body is no protobuf")
    assert len(first) < 700
    assert second_line.endswith("(9 more were since the last one told)")
    assert "/v1/logs" in other
