"""A request without the rows that the database refuses: found by halving, and where that takes too long, over several resends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace

from tidegauge.model.batch import Batch
from tidegauge.model.samples import resource_of
from tidegauge.model.selecting import Row, rows, select
from tidegauge.storage.interface import IngestRequest
from tidegauge.storage.postgres.guards import Refusal, refusals

# Enough to find dozens of bad rows among thousands, and an end for a request of nothing but bad ones, which holds up all others: what
# is not cleared by then is refused with them.
_TRIALS = 512
_MOST_KNOWN = 64
_LENGTH = 1000
REFUSED = "refused_by_database"
_EXEMPLAR_REFUSED = f"exemplar_{REFUSED}"

Trial = Callable[[IngestRequest], Awaitable[str | None]]
"""Why the database refuses a request's rows; None where it takes them."""


@dataclass(slots=True)
class _Progress:
    """Ranges of rows that are still to be tried, the last one first, and those that were refused, with the reason."""

    untried: list[tuple[int, int]]
    refused: list[tuple[int, int, str]] = field(default_factory=list)
    trials: int = 0


class Isolation:
    """Takes refused rows out of requests.

    A trial is a transaction, and on a busy machine all that a request needs take longer than its sender waits. What was found out by
    then is kept for its resend; without that a request could be sent again for ever.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._known: OrderedDict[Hashable, _Progress] = OrderedDict()

    async def without_refused(self, request: IngestRequest) -> IngestRequest:
        """The request without the rows that the database refuses, and with a rejection for each reason; raises what a trial raises."""
        every = rows(request.batch)
        key = _key(request, len(every))
        progress = self._known.setdefault(key, _Progress([(0, len(every))]))
        self._known.move_to_end(key)
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        await self._halve(request, every, progress)
        self._known.pop(key, None)
        refused = {row: _refused(request.batch, row, why) for start, end, why in sorted(progress.refused) for row in every[start:end]}
        kept = [row for row in every if row not in refused]
        return replace(request, batch=select(request.batch, kept, refusals(request.batch, refused)))

    async def _halve(self, request: IngestRequest, every: list[Row], progress: _Progress) -> None:
        while progress.untried:
            start, end = part = progress.untried[-1]
            reason: str | None = "too many rows were refused"
            if progress.trials < _TRIALS:
                reason = await self._trial(replace(request, batch=select(request.batch, every[start:end])))
            # Two of the same request may be at it at a time.
            if not progress.untried or progress.untried[-1] != part:
                continue
            progress.untried.pop()
            progress.trials += 1
            if reason is None:
                continue
            if end - start <= 1 or progress.trials >= _TRIALS:
                progress.refused.append((start, end, reason[:_LENGTH]))
            else:
                middle = (start + end) // 2
                progress.untried += [(start, middle), (middle, end)]


def _key(request: IngestRequest, count: int) -> Hashable:
    """Of a request and its resend. What is out of range is not the same at another time: then rows have other places."""
    out = tuple((each.reason, each.items) for each in request.batch.rejections)
    return request.digest, request.tenant_id, int(request.signal), request.endpoint, count, out


def _refused(batch: Batch, row: Row, message: str) -> Refusal:
    return Refusal(_EXEMPLAR_REFUSED if row[0] == "exemplars" else REFUSED, message, resource_of(batch, row).service_name)
