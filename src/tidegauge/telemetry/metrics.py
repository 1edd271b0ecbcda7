"""The program's metrics about itself, and their text for Prometheus."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from tidegauge import __version__
from tidegauge.telemetry import catalogue, files
from tidegauge.telemetry.catalogue import CATALOGUE, PROCESS, Described, Kind

_SAMPLE_SECONDS = 1.0
_log = logging.getLogger(__name__)
Sample = Callable[[], None]


class Metrics:
    """Instruments of this process by what describes them in :mod:`tidegauge.telemetry.catalogue`.

    Attributes:
        folder: as given.

    Args:
        folder: where processes that belong together keep their numbers (:func:`tidegauge.telemetry.files.keep_in` was called); None: this
            process is alone.
        process: its name.

    """

    def __init__(self, folder: Path | None = None, process: str = "main") -> None:
        self.folder = folder
        self._process = process
        self._registry = CollectorRegistry()
        self._instruments: dict[str, Any] = {described.name: self._made(described) for described in CATALOGUE}
        self._samples: list[Sample] = []
        self._failing: set[Sample] = set()
        self.gauge(catalogue.BUILD, __version__).set(1)

    def counter(self, described: Described, *labels: str) -> Counter:
        """A counter, or that of some labels' values, which is worth keeping: looking it up takes longer than counting."""
        counter: Counter = self._labelled(described, labels)
        return counter

    def gauge(self, described: Described, *labels: str) -> Gauge:
        """A gauge, likewise."""
        gauge: Gauge = self._labelled(described, labels)
        return gauge

    def histogram(self, described: Described, *labels: str) -> Histogram:
        """A histogram, likewise."""
        histogram: Histogram = self._labelled(described, labels)
        return histogram

    @asynccontextmanager
    async def sampling(self, *samples: Sample) -> AsyncIterator[None]:
        """Call each every second, and before this process is asked, while the block runs: they set gauges."""
        self._samples += samples
        task = asyncio.create_task(self._sample_on(samples), name="metrics")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            for sample in samples:
                self._samples.remove(sample)

    async def exposition(self) -> bytes:
        """All metrics of all processes as text."""
        self._sample(self._samples)
        return await asyncio.to_thread(generate_latest, _Families(self._families))

    def _made(self, described: Described) -> Counter | Gauge | Histogram:
        common: dict[str, Any] = {
            "name": described.name,
            "documentation": described.help,
            "labelnames": described.labels,
            "registry": self._registry,
        }
        match described.kind:
            case Kind.COUNTER:
                return Counter(**common)
            case Kind.GAUGE:
                return Gauge(**common, multiprocess_mode=described.merged)
        return Histogram(**common, buckets=described.buckets)

    def _labelled(self, described: Described, labels: tuple[str, ...]) -> Any:
        instrument = self._instruments[described.name]
        return instrument.labels(*labels) if labels else instrument

    async def _sample_on(self, samples: Iterable[Sample]) -> None:
        while True:
            self._sample(samples)
            await asyncio.sleep(_SAMPLE_SECONDS)

    def _sample(self, samples: Iterable[Sample]) -> None:
        for sample in samples:
            try:
                sample()
            except Exception:  # noqa: BLE001 - logged below
                # A number that is missing must not take the others with it; said once, not every second.
                if sample not in self._failing:
                    self._failing.add(sample)
                    _log.exception("a metric cannot be sampled")

    def _families(self) -> Iterator[Metric]:
        if self.folder is None:
            yield from self._registry.collect()
            yield from _of_processes({self._process: os.getpid()})
            return
        collector: Any = MultiProcessCollector
        yield from sorted(collector(None, path=str(self.folder)).collect(), key=lambda family: family.name)
        yield from _of_processes(files.processes(self.folder))


class _Families:
    """Families as :func:`prometheus_client.generate_latest` takes them, without the time at which each series began: nobody uses these."""

    def __init__(self, families: Callable[[], Iterator[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            if family.samples:
                yield family


def _of_processes(pids: dict[str, int]) -> Iterator[Metric]:
    """Processor time, memory and files of each process, where the operating system tells (Linux)."""
    found: dict[str, Metric] = {}
    for process, pid in pids.items():
        for family in ProcessCollector(pid=partial(int, pid), registry=CollectorRegistry()).collect():
            merged = found.setdefault(family.name, Metric(family.name, "", family.type))
            for sample in family.samples:
                merged.add_sample(sample.name, {"process": process}, sample.value)
    for described in PROCESS:
        name = described.name.removesuffix("_total")
        if name in found:
            found[name].documentation = described.help
            yield found[name]
