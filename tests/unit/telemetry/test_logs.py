"""Lines of the program's own log."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from tidegauge import correlation
from tidegauge.config import LogFormat, LogLevel, TelemetrySettings
from tidegauge.correlation import Correlation
from tidegauge.telemetry.logs import start_logging
from tidegauge.telemetry.scrubbing import MASK, Scrubber

CORRELATION = Correlation("1" * 32, "2" * 16, "order-1", "r-1")
_log = logging.getLogger("tidegauge.some.module")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where lines go; the test runner's own logging is as before afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("tidegauge")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    for handler in handlers:
        root.removeHandler(handler)
    yield io.StringIO()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def start(stream: io.StringIO, chosen: LogFormat = LogFormat.AUTO, level: LogLevel = LogLevel.INFO, **options: Any) -> None:
    start_logging(TelemetrySettings(log_format=chosen, log_level=level), stream, Scrubber(["t0ken-t0ken-t0ken"]), **options)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().split("\n") if line]


def test_a_line_has_what_happened_where_and_when(stream: io.StringIO) -> None:
    start(stream, process="worker-1")
    _log.info("took %d s", 3, extra={"status": 200})
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"message": "took 3 s", "level": "info", "logger": "tidegauge.some.module", "status": 200, "process": "worker-1"}


def test_every_line_of_a_request_carries_its_ids(stream: io.StringIO) -> None:
    start(stream)
    with correlation.correlated(CORRELATION):
        _log.info("within")
        logging.getLogger("some.library").warning("within, too")
    _log.info("outside")
    *within, outside = lines(stream)
    for line in within:
        assert (line["trace_id"], line["span_id"]) == ("1" * 32, "2" * 16)
        assert (line["correlation_id"], line["request_id"]) == ("order-1", "r-1")
    assert "trace_id" not in outside


def test_libraries_and_warnings_take_the_same_way_and_their_chatter_none(stream: io.StringIO) -> None:
    start(stream)
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").error("serious")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert [line["level"] for line in lines(stream)] == ["error", "warning"]


def test_a_level_is_from_where_on(stream: io.StringIO) -> None:
    start(stream, level=LogLevel.ERROR)
    _log.warning("not this")
    _log.error("this")
    assert [line["message"] for line in lines(stream)] == ["this"]


@pytest.mark.parametrize("chosen", [LogFormat.JSON, LogFormat.CONSOLE])
def test_secrets_are_masked_in_messages_fields_and_tracebacks(stream: io.StringIO, chosen: LogFormat) -> None:
    start(stream, chosen)
    try:
        raise ValueError("postgresql://owner:hunter2@db, t0ken-t0ken-t0ken")
    except ValueError:
        _log.exception("failed with %s", "t0ken-t0ken-t0ken", extra={"dsn": "redis://:hunter2@cache", "nested": {"password": "x"}})
    logging.getLogger("some.library").error("Authorization: Bearer abcdef0123456789")
    written = stream.getvalue()
    assert "ValueError" in written
    assert written.count(MASK) >= 5
    for secret in ("hunter2", "t0ken", "abcdef0123456789"):
        assert secret not in written


@pytest.mark.parametrize("text", ["two\nlines", "\x1b[31mred", "\u2028", "\ud800", "🙂 ä", "a" * 100_000, '"quoted" \\'])
def test_whatever_a_client_sent_is_one_line(stream: io.StringIO, text: str) -> None:
    start(stream, LogFormat.JSON)
    _log.info("%s", text, extra={"path": text, "number": 2**70})
    (line,) = lines(stream)
    assert line["message"] == text.replace("\ud800", "?")


def test_a_terminal_sees_no_control_characters_of_a_client(stream: io.StringIO) -> None:
    start(stream, LogFormat.CONSOLE)
    _log.info("path %s", "/a\r\nfake line\x1b[2J\x9b31m", extra={"path": "\x1b]0;title\x07"})
    assert len(stream.getvalue().splitlines()) == 1
    assert not {"\x1b", "\r", "\x9b", "\x07"} & set(stream.getvalue())


def test_a_traceback_shows_no_local_variables(stream: io.StringIO) -> None:
    start(stream, LogFormat.CONSOLE)
    hidden = "value of a local variable"
    try:
        raise ValueError(len(hidden))
    except ValueError:
        _log.exception("failed")
    assert hidden not in stream.getvalue()


def test_starting_again_replaces_what_was_before(stream: io.StringIO) -> None:
    start(stream)
    start(stream)
    _log.warning("once")
    assert len(lines(stream)) == 1
