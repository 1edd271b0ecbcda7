"""CPU time of processes, from /proc (Linux; elsewhere nothing is known)."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

_TICKS = os.sysconf("SC_CLK_TCK")
_SHARED = "'checkpointer', 'background writer', 'walwriter'"


def cpu_seconds(pids: Collection[int]) -> float | None:
    """User and system time of these processes up to now; None where it cannot be known."""
    times = [_stat(pid) for pid in pids]
    known = [stat for stat in times if stat is not None]
    return sum(stat[1] for stat in known) if known else None


def product(pid: int) -> tuple[list[int], list[int]]:
    """A running ``tidegauge up``: its Python processes, and those of its embedded database."""
    databases = node(pid)
    return [pid, *(child for child in _descendants(pid) if child not in databases)], databases


def node(pid: int) -> list[int]:
    """The embedded database's processes among those that this one started."""
    return [child for child in _descendants(pid) if _is_node(child)]


def database(connection: psycopg.Connection) -> list[int]:
    """A server's processes for this connection's database and those it shares with others; none where it is on another machine."""
    rows = connection.execute(
        f"SELECT pid FROM pg_catalog.pg_stat_activity WHERE datname = current_database() OR backend_type IN ({_SHARED})"
    ).fetchall()
    return [row[0] for row in rows if _comm(row[0]) == "postgres"]


class Meter:
    """Sums what parties spend while blocks run; a party whose processes cannot be seen stays out.

    ``parties`` gives the process ids of each by its name, asked anew whenever a block begins.
    """

    def __init__(self, parties: Callable[[], Mapping[str, Collection[int]]]) -> None:
        self._parties = parties
        self.spent: dict[str, float] = {}

    @contextmanager
    def counted(self) -> Iterator[None]:
        """What is spent while the block runs counts."""
        parties = self._parties()
        earlier = {name: cpu_seconds(pids) for name, pids in parties.items()}
        yield
        for name, before in earlier.items():
            after = cpu_seconds(parties[name])
            if before is not None and after is not None:
                self.spent[name] = self.spent.get(name, 0.0) + after - before


def _stat(pid: int) -> tuple[int, float] | None:
    """Parent and seconds (proc(5), /proc/pid/stat: fields 4, 14 and 15)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / _TICKS


def _comm(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _is_node(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name.startswith("node")
    except OSError:
        return False


def _descendants(pid: int) -> list[int]:
    parents = {int(path.name): stat[0] for path in Path("/proc").glob("[0-9]*") if (stat := _stat(int(path.name))) is not None}
    found, added = [pid], True
    while added:
        added = False
        for child, parent in parents.items():
            if parent in found and child not in found:
                found.append(child)
                added = True
    return found[1:]
