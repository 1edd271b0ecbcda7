"""A request of another way in, on its way to a batch: its records as an OTLP request, and which of its items are refused.

The detour over OTLP's bytes costs a few microseconds a record, and spares a second decoder: what columns hold, what they cannot hold and
what is kept beside them is decided in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

from tidegauge.logforms.values import Values, text_of
from tidegauge.model.batch import Batch, LogBatch, Signal
from tidegauge.otlp.budget import LOG_BYTES, Budget
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding
from tidegauge.otlp.rejections import Rejections

MALFORMED = "malformed_item"
UNSUPPORTED = "unsupported_action"
_LATE = ("too_old", "too_far_ahead")
Parse = Callable[[bytes, "Records"], None]


class Fault(NamedTuple):
    """An item that is not stored: its place among all items of its request, from 0, and why."""

    place: int
    reason: str
    message: str


class Records:
    """Gathers what a request has, item by item, in its order. ``items`` is how many there were."""

    def __init__(self, body_bytes: int) -> None:
        self.budget = Budget(body_bytes)
        self.values = Values(self.budget)
        self.request = ExportLogsServiceRequest()
        self.rejections = Rejections()
        self.faults: list[Fault] = []
        self.places: list[int] = []
        self.times: list[int] = []
        self.items = 0
        self._origin: tuple[bytes, str] | None = None
        self._scope_logs: ScopeLogs | None = None

    def add(
        self,
        make: Callable[[LogRecord], None],
        sample: bytes | Callable[[], bytes],
        resource: Mapping[str, object],
        scope: str = "",
    ) -> None:
        """Add the next item as ``make`` fills it in. ``sample`` is what was sent, for where that raises ValueError: then it is refused."""
        self.budget.spend(LOG_BYTES)
        try:
            records = self._list(resource, scope).log_records
            record = records.add()
            try:
                make(record)
            except ValueError:
                del records[-1]
                raise
        except ValueError as error:
            self.refuse(str(error), sample() if callable(sample) else sample)
            return
        self.places.append(self.items)
        self.times.append(record.time_unix_nano)
        self.items += 1

    def refuse(self, message: str, sample: bytes, reason: str = MALFORMED) -> None:
        """The next item cannot be read, or done."""
        self.budget.spend(LOG_BYTES)
        self.faults.append(Fault(self.items, reason, message[:300]))
        self.rejections.add(reason, f"[{self.items}] {message[:300]}", sample[:4096])
        self.items += 1

    def _list(self, resource: Mapping[str, object], scope: str) -> ScopeLogs:
        """Where the next record belongs: with the last one, where that has the same origin."""
        origin = (text_of(resource), scope)
        if self._scope_logs is None or origin != self._origin:
            logs = self.request.resource_logs.add()
            for key, value in resource.items():
                self.values.set(logs.resource.attributes.add(key=key).value, value)
            self._scope_logs = logs.scope_logs.add()
            if scope:
                self._scope_logs.scope.name = scope
            self._origin = origin
            self.budget.spend(LOG_BYTES)
        return self._scope_logs


class Reading:
    """Reads one request by ``parse``; afterwards it tells what became of its items.

    Attributes:
        items: how many there were.

    """

    def __init__(self, parse: Parse) -> None:
        self._parse = parse
        self.items = 0
        self._faults: list[Fault] = []
        self._times: dict[int, int] = {}
        self._batch = LogBatch()

    def __call__(self, decoder: Decoder, body: bytes, budget: Budget) -> Batch:
        """The batch of a body.

        Raises:
            InvalidArgument: the body as a whole cannot be read.
            PayloadTooLarge: it takes far more memory than its bytes.

        """
        records = Records(len(body))
        self._parse(body, records)
        self.items, self._faults = records.items, records.faults
        encoded = records.request.SerializeToString()
        places = records.places
        self._times = dict(zip(places, records.times, strict=True))
        rejections = records.rejections.listed()
        del records
        batch = decoder.decode(Signal.LOGS, encoded, Encoding.PROTOBUF, budget)
        assert isinstance(batch, LogBatch)
        batch.ordinal = [places[ordinal] for ordinal in batch.ordinal]
        batch.rejections = rejections + batch.rejections
        self._batch = batch
        return batch

    def faults(self) -> list[Fault]:
        """The items that are not in the batch any more, by place. What a store has refused on its own account is not among them."""
        kept = set(self._batch.ordinal)
        gone = sorted((time, place) for place, time in self._times.items() if place not in kept)
        # Between those too old and those too far ahead lie all that are neither: how many are too old tells which.
        late = {reason: [each for each in self._batch.rejections if each.reason == reason] for reason in _LATE}
        old = sum(each.items for each in late["too_old"])
        found = [
            Fault(place, reason, late[reason][0].message if late[reason] else reason)
            for row, (_, place) in enumerate(gone)
            for reason in [_LATE[row >= old]]
        ]
        return sorted([*self._faults, *found])
