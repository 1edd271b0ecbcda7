"""Whether the decoder makes of an input what the reference makes of it."""

from __future__ import annotations

from tests.decoders import Decoder
from tests.fuzz.cases import Case
from tests.property.comparing import check
from tidegauge.errors import PayloadTooLarge
from tidegauge.otlp.encoding import Encoding

ENCODINGS = {b"application/x-protobuf": Encoding.PROTOBUF, b"application/json": Encoding.JSON}
SIGNALS = {
    b"/v1/traces": "traces",
    b"/v1/metrics": "metrics",
    b"/v1/logs": "logs",
    b"traces": "traces",
    b"metrics": "metrics",
    b"logs": "logs",
}
LARGEST = 30_000
"""The reference is slow."""


def difference(case: Case) -> str:
    """What differs; empty for nothing, and where they are not comparable."""
    headers = dict(case.headers)
    encoding = Encoding.PROTOBUF if case.method == b"GRPC" else ENCODINGS.get(headers.get(b"content-type", b""))
    signal = SIGNALS.get(case.path)
    if encoding is None or signal is None or len(case.body) > LARGEST or headers.get(b"content-encoding"):
        return ""
    try:
        check(Decoder(1 << 20), signal, case.body, encoding)
    except (PayloadTooLarge, RecursionError):
        return ""
    except AssertionError as error:
        return f"{signal} {encoding.name}: {str(error)[:300]}"
    return ""
