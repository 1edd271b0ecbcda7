"""An HTTP/1.1 client connection that does no more than a load test needs, so that it measures the server and not itself."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools

from tidegauge.errors import ConfigurationError

_CHUNK = 1 << 16
_IDLE_SECONDS = 1.0


class ConnectionLost(Exception):
    """The server could not be reached, did not answer in time, or answered with no HTTP."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server's base address."""

    host: str
    port: int
    tls: bool
    prefix: str

    @classmethod
    def of(cls, url: str) -> Target:
        """Of a URL like https://host:port/prefix.

        Raises:
            ConfigurationError: it is none.

        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(f"--endpoint={url}: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"--endpoint={url}: expected http://host:port")
        tls = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if tls else 80), tls, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """For the Host header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(slots=True)
class Answer:
    """An answer; header names are in lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False
    keeps_alive: bool = False


class _Reader:
    """What httptools calls while it parses an answer."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.answer.body += body

    def on_message_complete(self) -> None:
        self.answer.complete = True
        self.answer.keeps_alive = self.parser.should_keep_alive()


class Connection:
    """One connection, opened when it is needed and kept while the server keeps it."""

    def __init__(self, target: Target, headers: Mapping[str, str], timeout_seconds: float) -> None:
        self._target = target
        self._timeout_seconds = timeout_seconds
        lines = {"host": target.authority, "user-agent": "tidegauge-loadtest", "accept": "application/json", **headers}
        self._head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._used_at = 0.0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", content_type: str = "") -> Answer:
        """One request.

        Raises:
            ConnectionLost: there is no answer.

        """
        about = f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n" if content_type else ""
        request = f"{method} {self._target.prefix}{path} HTTP/1.1\r\n{self._head}{about}\r\n".encode() + body
        waited = self._streams is not None and time.monotonic() - self._used_at > _IDLE_SECONDS
        try:
            async with asyncio.timeout(self._timeout_seconds):
                try:
                    return await self._exchange(request)
                except ConnectionLost:
                    # A server may close a connection that waits, at the very moment that it is used again: that is no fault of its own.
                    if not waited:
                        raise
                    return await self._exchange(request)
        except TimeoutError:
            self.close()
            raise ConnectionLost(f"no answer within {self._timeout_seconds:g} s") from None
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, request: bytes) -> Answer:
        parsed = _Reader()
        try:
            if self._streams is None:
                tls = ssl.create_default_context() if self._target.tls else None
                self._streams = await asyncio.open_connection(self._target.host, self._target.port, ssl=tls)
            reader, writer = self._streams
            writer.write(request)
            while not parsed.answer.complete:
                data = await reader.read(_CHUNK)
                if not data:
                    raise ConnectionLost("the connection was closed before the answer was whole")
                parsed.parser.feed_data(data)
        except (OSError, httptools.HttpParserError) as error:
            self.close()
            raise ConnectionLost(str(error) or type(error).__name__) from error
        except ConnectionLost:
            self.close()
            raise
        self._used_at = time.monotonic()
        parsed.answer.status = parsed.parser.get_status_code()
        if not parsed.answer.keeps_alive:
            self.close()
        return parsed.answer
