"""Requests that no exporter would send: broken OTLP, to show that the store answers it with 4xx and lives on."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass

import requests

from tidegauge.simulate.report import Summary

PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True, slots=True)
class Broken:
    """A body and headers that must be refused."""

    name: str
    body: bytes
    headers: Mapping[str, str]


BROKEN = (
    Broken("truncated protobuf", b"\x0a\xff\xff\x03\x0a", {"Content-Type": PROTOBUF}),
    Broken("text as protobuf", b"this is not protobuf", {"Content-Type": PROTOBUF}),
    Broken("half of a JSON", b'{"resourceSpans": [{"scopeSpans": [', {"Content-Type": "application/json"}),
    Broken("truncated gzip", gzip.compress(b"x" * 1000)[:-9], {"Content-Type": PROTOBUF, "Content-Encoding": "gzip"}),
    Broken("unknown media type", b"<spans/>", {"Content-Type": "text/xml"}),
    Broken("unknown encoding", b"x", {"Content-Type": PROTOBUF, "Content-Encoding": "zstd"}),
)


class BrokenSender:
    """Sends one of each to every signal's path in turn and notes the answers."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], timeout_seconds: float, summary: Summary) -> None:
        self._endpoint = endpoint
        self._timeout_seconds = timeout_seconds
        self._summary = summary
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(headers)
        self._turn = 0

    def send(self) -> None:
        """One broken request of each sort."""
        path = ("traces", "metrics", "logs")[self._turn % 3]
        self._turn += 1
        for broken in BROKEN:
            try:
                response = self._session.post(
                    f"{self._endpoint}/v1/{path}", data=broken.body, headers=dict(broken.headers), timeout=self._timeout_seconds
                )
            except requests.RequestException as error:
                self._summary.malformed[f"{broken.name}: no answer ({type(error).__name__})"] += 1
                self._summary.malformed_accepted += 1
                continue
            self._summary.malformed[f"{broken.name}: HTTP {response.status_code}"] += 1
            self._summary.malformed_accepted += response.status_code not in {400, 415}
