"""Collects dictionary rows that nothing refers to any more, a step at a time; the database knows what the next step is."""

from __future__ import annotations

import time
from datetime import timedelta

from tidegauge.maintenance.store import MaintenanceStore
from tidegauge.maintenance.turn import Turn

# Of each dictionary in a round. A step looks whether a chunk refers to any of them: half a second with a chunk as large as they are here.
_ROWS_A_ROUND = 2000


class CollectJob:
    """A round marks rows unseen for long, looks at all that may refer to them and deletes those that nothing does.

    What has been done stands in the database, so that a process that ends in between leaves nothing undone to the next.
    """

    name = "collect unused dictionary rows"
    period = timedelta(hours=1)

    def __init__(self, store: MaintenanceStore) -> None:
        self._store = store

    async def turn(self) -> Turn | None:
        """Do the next step."""
        began = time.perf_counter()
        did = await self._store.collect(_ROWS_A_ROUND)
        return None if did is None else Turn(time.perf_counter() - began, did)
