"""The load client against a server that answers everything."""

from __future__ import annotations

import pytest

from benchmarks import client, null
from benchmarks.client import Load, Transport
from tidegauge.model.batch import Signal


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_every_connection_sends_and_is_answered(transport: Transport) -> None:
    with null.running(transport) as (address, _), client.clients(Load(address, transport, Signal.TRACES, 64, 3)) as sender:
        sent = sender.send(0.3)
        again = sender.send(0.3)
    assert sent.refused == again.refused == 0
    assert min(len(sent.latencies), len(again.latencies)) >= 3
    assert sent.cpu > 0
