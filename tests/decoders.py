"""The decoder as tests use it: each request is read twice, by the compiled part and by Python alone, and nothing tells the two apart."""

from __future__ import annotations

from tidegauge.errors import TidegaugeError
from tidegauge.model.batch import Batch, Signal
from tidegauge.otlp import decode
from tidegauge.otlp.budget import Budget
from tidegauge.otlp.encoding import Encoding


class Decoder(decode.Decoder):
    """Gives what both give. Where the compiled part was not built both are Python (tests/packaging tells where that is a failure)."""

    def __init__(self, cache_bytes: int = 64 << 20) -> None:
        super().__init__(cache_bytes)
        self._python = decode.Decoder(cache_bytes, compiled=False)

    def decode(self, signal: Signal, body: bytes, encoding: Encoding, budget: Budget | None = None) -> Batch:
        budget = budget or Budget(len(body))
        other = Budget(budget.body_bytes)
        found = _outcome(super(), signal, body, encoding, budget)
        expected = _outcome(self._python, signal, body, encoding, other)
        if isinstance(found, TidegaugeError):
            assert (type(expected), str(expected)) == (type(found), str(found)), "one refuses what the other reads"
            raise found
        # NaN is not equal to itself.
        assert found == expected or repr(found) == repr(expected), "the compiled part reads other than Python"
        # What series are charged depends on which of them are remembered.
        assert signal is Signal.METRICS or budget.used == other.used
        return found


def _outcome(decoder: decode.Decoder, signal: Signal, body: bytes, encoding: Encoding, budget: Budget) -> Batch | TidegaugeError:
    try:
        return decoder.decode(signal, body, encoding, budget)
    except TidegaugeError as error:
        return error
