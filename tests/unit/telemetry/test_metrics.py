"""Metrics of the program: their names and their text."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tidegauge.telemetry import catalogue
from tidegauge.telemetry.catalogue import CATALOGUE, PREFIX, Kind
from tidegauge.telemetry.metrics import Metrics


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Name and labels → value; a name and labels that stand twice are a fault."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def value(text: str, name: str, **labels: str) -> float:
    return samples(text)[PREFIX + name, frozenset(labels.items())]


def filled(metrics: Metrics) -> Metrics:
    """Every metric with a value."""
    for described in CATALOGUE:
        labels = ["x"] * len(described.labels)
        match described.kind:
            case Kind.COUNTER:
                metrics.counter(described, *labels).inc()
            case Kind.GAUGE:
                metrics.gauge(described, *labels).set(1)
            case Kind.HISTOGRAM:
                metrics.histogram(described, *labels).observe(0.1)
    return metrics


@pytest.mark.parametrize("described", CATALOGUE, ids=lambda described: described.name)
def test_names_follow_the_conventions(described: catalogue.Described) -> None:
    assert re.fullmatch(r"tidegauge_[a-z]+(_[a-z]+)*", described.name)
    assert described.name.endswith("_total") is (described.kind is Kind.COUNTER)
    assert not re.search(r"_(milliseconds|ms|kb|count|sum|bucket)(_|$)", described.name)
    if described.kind is Kind.HISTOGRAM:
        assert re.search(r"_(seconds|bytes|items)$", described.name)
        assert list(described.buckets) == sorted(set(described.buckets))
    assert described.help.endswith(".") or described.help == "1, with the version."
    assert len({described.name for described in CATALOGUE}) == len(CATALOGUE)


async def test_the_text_is_prometheus_own() -> None:
    text = (await filled(Metrics()).exposition()).decode()
    found = samples(text)
    assert {name for name, _ in found} >= {described.name for described in CATALOGUE if described.kind is not Kind.HISTOGRAM}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type != "unknown"
    assert "_created" not in text
    assert found["process_resident_memory_bytes", frozenset({("process", "main")})] > 1_000_000


async def test_gauges_are_sampled_before_they_are_told_and_a_failure_takes_no_other_along(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    pending, queued = metrics.gauge(catalogue.INGEST_PENDING), metrics.gauge(catalogue.INGEST_QUEUED)
    values = iter(range(1000))

    def failing() -> None:
        raise RuntimeError("no number")

    async with metrics.sampling(lambda: pending.set(7), failing, lambda: queued.set(next(values))):
        one, another = [(await metrics.exposition()).decode() for _ in range(2)]
    assert value(one, "ingest_pending_bytes") == 7
    assert value(another, "ingest_queued_requests") > value(one, "ingest_queued_requests")
    assert [record.message for record in caplog.records] == ["a metric cannot be sampled"]
