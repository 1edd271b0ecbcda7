"""Logs on Elasticsearch: acknowledged by the product beside ``elasticsearch.helpers.bulk`` with the same documents; text search."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
from elasticsearch import BadRequestError, Elasticsearch, helpers

from benchmarks import client, databases, product
from benchmarks.client import Clients, Load
from benchmarks.product import Product
from benchmarks.report import Report, arguments, spread
from tidegauge.model.batch import Signal

_WARM_UP_SECONDS = 5.0
_DOCUMENTS = 8_192
_BULK_DOCUMENTS = 2_000
_FILLING_THREADS = 4
_SEARCHES = 60
_WORDS = ("payment", "timeout", "refused", "login", "order", "cache", "upstream", "retry")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command line."""
    arguments(parser, "items", "url", "rounds")
    parser.add_argument(
        "--elasticsearch-url",
        default=os.environ.get("ELASTICSEARCH_URL"),
        help="a server, on which a data stream is made and dropped (ELASTICSEARCH_URL)",
    )
    parser.add_argument("--seconds", type=float, default=5, help="of sending in a round (5)")
    parser.add_argument("--connections", type=int, default=8, help="with one request under way on each (8)")
    parser.add_argument("--records", type=int, default=1_000_000, help="among which texts are searched (1000000); 0: no search")


def measure(options: argparse.Namespace) -> Report:
    """Alternate helpers.bulk and product for some rounds, then search. Ends the program where stored is not what was acknowledged."""
    if not options.elasticsearch_url:
        sys.exit("this needs an Elasticsearch: --elasticsearch-url http://…")
    dataset = f"bench_{uuid.uuid4().hex[:12]}"
    settings = {"TIDEGAUGE_LOGS_ELASTICSEARCH_URL": options.elasticsearch_url, "TIDEGAUGE_LOGS_DATASET": dataset, **_NO_LIMITS}
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(databases.scratch(options.url)) if options.url else None
        server = stack.enter_context(Elasticsearch(options.elasticsearch_url, request_timeout=120))
        stream = f"logs-{dataset}.otel-default"
        stack.callback(_drop, server, dataset, stream)
        place = stack.enter_context(product.running(url, 1, settings))
        sender = stack.enter_context(client.clients(Load(place.http, "http", Signal.LOGS, options.items, options.connections)))
        return _measured(options, place, sender, server, stream)


# One address asks a few hundred times in a few seconds.
_NO_LIMITS = {f"TIDEGAUGE_THROTTLE_LIMIT_{name}": "0" for name in ("SHORT", "MEDIUM", "LONG")}


def _measured(options: argparse.Namespace, place: Product, sender: Clients, server: Elasticsearch, stream: str) -> Report:
    acknowledged = len(sender.send(_WARM_UP_SECONDS).latencies) * options.items
    server.indices.refresh(index=stream)
    documents = _documents(server, stream)
    bulk, sent, latencies, copied = [], [], [], 0
    for _ in range(options.rounds):
        actions = list(_again(documents, stream))
        started = time.perf_counter()
        helpers.bulk(server, actions)
        bulk.append(len(actions) / (time.perf_counter() - started))
        copied += len(actions)
        turn = sender.send(options.seconds)
        sent.append(len(turn.latencies) * options.items / turn.taken)
        latencies += turn.latencies
        acknowledged += len(turn.latencies) * options.items
    server.indices.refresh(index=stream)
    stored = server.count(index=stream)["count"] - copied
    if stored != acknowledged:
        sys.exit(f"{acknowledged:,} records were acknowledged, {stored:,} are stored")
    report = Report(
        "logs on Elasticsearch",
        f"{databases.machine()}; Elasticsearch {server.info()['version']['number']}\n"
        f"requests of {options.items} records, {options.connections} connections, {options.rounds} rounds of {options.seconds:g} s; "
        f"helpers.bulk of {len(documents):,} of the same documents before each",
    )
    report.add("elasticsearch.helpers.bulk", spread(bulk, " records/s"))
    report.add("acknowledged by the product", spread(sent, " records/s"))
    report.add("ratio", spread([ours / theirs for ours, theirs in zip(sent, bulk, strict=True)], "", 2))
    report.add("answer after, median", f"{statistics.median(latencies) * 1000:.0f} ms")
    report.add("acknowledged = stored", f"{stored:,} records")
    if options.records:
        _fill(server, stream, documents, options.records - copied - stored)
        _search(report, place, server.count(index=stream)["count"])
    return report


def _documents(server: Elasticsearch, stream: str) -> list[dict[str, Any]]:
    """Some of what the product has stored."""
    found: list[dict[str, Any]] = [
        hit["_source"] for hit in helpers.scan(server, index=stream, query={"query": {"match_all": {}}}, size=1000, preserve_order=False)
    ]
    return found[:_DOCUMENTS]


def _again(documents: list[dict[str, Any]], stream: str) -> Iterator[dict[str, Any]]:
    """The documents as other requests' records, a moment later."""
    digest, now_ms = uuid.uuid4().hex, time.time_ns() // 1_000_000
    for ordinal, document in enumerate(documents):
        own = document["tidegauge"] | {"request_digest": digest, "ordinal": ordinal}
        yield {
            "_op_type": "create",
            "_index": stream,
            "_id": f"{digest}-{ordinal}",
            "_source": document | {"@timestamp": f"{now_ms}.{ordinal % 1_000_000:06d}", "tidegauge": own},
        }


def _fill(server: Elasticsearch, stream: str, documents: list[dict[str, Any]], missing: int) -> None:
    """As many records more, as fast as the server takes them."""

    def part(number: int) -> None:
        lines: list[Any] = []
        for action in _again(documents[:_BULK_DOCUMENTS], stream):
            lines += [orjson.dumps({"create": {"_id": action["_id"]}}), orjson.dumps(action["_source"])]
        server.bulk(index=stream, operations=lines, filter_path="errors")

    with ThreadPoolExecutor(_FILLING_THREADS) as threads:
        list(threads.map(part, range(-(-max(missing, 0) // _BULK_DOCUMENTS))))
    server.indices.refresh(index=stream)


def _search(report: Report, place: Product, records: int) -> None:
    """Texts searched for at the API, each of them another."""
    chance = random.Random(1)
    seconds: list[float] = []
    with httpx.Client(base_url=f"http://{place.api}", timeout=30) as api:
        for _ in range(_SEARCHES):
            first, second = chance.sample(_WORDS, 2)
            text = chance.choice([first, f"{first} {second}", f'"{first} {second}"', f"{first} -{second}", f"{first} or {second}"])
            started = time.perf_counter()
            api.get(f"/api/v1/logs?{urlencode({'text': text, 'start': 'now-1d', 'limit': 50})}").raise_for_status()
            seconds.append(time.perf_counter() - started)
    seconds.sort()
    report.add(f"text search among {records:,} records, median", f"{seconds[len(seconds) // 2] * 1000:.0f} ms")
    report.add("text search, 95 of 100", f"{seconds[len(seconds) * 95 // 100] * 1000:.0f} ms")


def _drop(server: Elasticsearch, dataset: str, stream: str) -> None:
    """The data stream; where the server has no such call, all of it but an empty index."""
    try:
        server.indices.delete_data_stream(name=stream)
        server.indices.delete_index_template(name=f"tidegauge-logs-{dataset}-default")
    except BadRequestError:
        newest = server.indices.rollover(alias=stream)["new_index"]
        names = server.indices.get(index=stream, filter_path="*.settings.index.uuid").body
        server.indices.delete(index=[name for name in names if name != newest])
