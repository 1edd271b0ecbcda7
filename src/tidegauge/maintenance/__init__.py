"""Maintenance of a database that has no processes of its own for it: rollups, compression, retention, statistics, jobs.

``windows.py``, ``chunks.py``, ``upkeep.py`` and ``userjobs.py`` decide, without I/O; ``refresh.py``, ``collect.py`` and ``jobs.py`` carry
it out, a turn at a time, through the Protocol in ``store.py``; ``scheduler.py`` gives them their turns.
"""

from tidegauge.maintenance.scheduler import Maintenance

__all__ = ["Maintenance"]
