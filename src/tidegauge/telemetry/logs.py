"""The program's own log: one line of JSON an event on standard error, or lines for people at a terminal.

Everything that is logged passes here: our own modules and libraries alike use the standard library's ``logging``, and structlog renders it.
Lines carry the ids of the request that they were written for (:mod:`tidegauge.correlation`); secrets are masked.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from tidegauge import correlation
from tidegauge.config import LogFormat, LogLevel, TelemetrySettings
from tidegauge.telemetry.scrubbing import Scrubber

_LEVELS = {LogLevel.DEBUG: logging.DEBUG, LogLevel.INFO: logging.INFO, LogLevel.WARNING: logging.WARNING, LogLevel.ERROR: logging.ERROR}
# Escape sequences and line breaks that a client has sent must not reach a terminal, nor look like another line.
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_MULTILINE = frozenset({"exception", "stack"})
# Of a library's chatter only what somebody should look at.
_OURS = "tidegauge"


def start_logging(settings: TelemetrySettings, stream: TextIO, scrubber: Scrubber, *, process: str = "") -> None:
    """Write the log of this process to ``stream`` from now on, whoever has set up anything before.

    Args:
        settings: format and level.
        stream: standard error.
        scrubber: masks secrets.
        process: what this process is among several; on every line where it is not empty.

    """
    handler = logging.StreamHandler(stream)
    lines = _for_machines(scrubber) if is_json(settings.log_format, stream) else _for_people(scrubber, colors=stream.isatty())
    handler.setFormatter(_formatter(lines, process))
    level = _LEVELS[settings.log_level]
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger(_OURS).setLevel(level)
    logging.captureWarnings(capture=True)


def is_json(chosen: LogFormat, stream: TextIO) -> bool:
    """Whether lines are JSON: as chosen, else where no person looks."""
    return chosen is LogFormat.JSON or (chosen is LogFormat.AUTO and not stream.isatty())


def _formatter(last: Sequence[Processor], process: str) -> logging.Formatter:
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _correlated,
    ]
    if process:
        shared.append(_constant("process", process))
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )


def _for_machines(scrubber: Scrubber) -> Sequence[Processor]:
    return (
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        _scrubbed(scrubber.value),
        structlog.processors.JSONRenderer(serializer=_json),
    )


def _for_people(scrubber: Scrubber, *, colors: bool) -> Sequence[Processor]:
    def plain(value: object, name: str) -> object:
        value = scrubber.value(value)
        return _CONTROLS.sub(_escaped, value) if isinstance(value, str) and name not in _MULTILINE else value

    return (
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _without_ids,
        _scrubbed_named(plain),
        # Its own way with exceptions would show the local variables of every frame, secrets among them.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback, pad_event_to=0, colors=colors),
    )


def _correlated(_logger: Any, _method: str, event: EventDict) -> EventDict:
    found = correlation.current()
    if found is not None:
        event.setdefault("trace_id", found.trace_id)
        event.setdefault("span_id", found.span_id)
        event.setdefault("correlation_id", found.correlation_id)
        event.setdefault("request_id", found.request_id)
    return event


def _without_ids(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """At a terminal, ids that nobody chose would fill the line; the one that finds all others is enough."""
    for name in ("trace_id", "span_id"):
        event.pop(name, None)
    if event.get("correlation_id") == event.get("request_id"):
        event.pop("correlation_id", None)
    return event


def _constant(name: str, value: str) -> Processor:
    def add(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event[name] = value
        return event

    return add


def _scrubbed(scrub: Callable[[object], object]) -> Processor:
    return _scrubbed_named(lambda value, _: scrub(value))


def _scrubbed_named(scrub: Callable[[object, str], object]) -> Processor:
    def process(_logger: Any, _method: str, event: EventDict) -> EventDict:
        return {name: scrub(value, name) for name, value in event.items()}

    return process


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


def _json(event: Any, **_: Any) -> str:
    try:
        return orjson.dumps(event).decode()
    except orjson.JSONEncodeError:
        # A lone surrogate, as file names may hold, or a number of more than 64 bits.
        return json.dumps(event, ensure_ascii=False).encode("utf-8", "replace").decode()
