"""Asks a Tidegauge, and gives answers as records and as frames of pandas, Polars and Arrow.

::

    from tidegauge.client import TidegaugeClient, queries

    with TidegaugeClient("http://localhost:4320") as client:
        frame = client.run(queries.metric_range("cart.orders", step="1h", start="now-7d")).to_pandas()

A question is made by a function of :mod:`tidegauge.client.queries` and asked by :class:`TidegaugeClient` or :class:`AsyncTidegaugeClient`.
It needs ``pip install 'tidegauge[client]'``; docs/client.md has more.
"""

from tidegauge.client import errors, queries, rows
from tidegauge.client.core import Call, Retries
from tidegauge.client.http import AsyncTidegaugeClient, TidegaugeClient
from tidegauge.client.table import Table

__all__ = ["AsyncTidegaugeClient", "Call", "Retries", "Table", "TidegaugeClient", "errors", "queries", "rows"]
