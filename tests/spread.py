"""How the whole suite is spread over the processes of pytest-xdist (``make test`` without arguments: tools/dev.py).

Each process has servers of its own. A file's tests stay together and in their order. So do files that share a server which is expensive, or
look at all that is in one. What takes longest begins first, so that none of the processes waits for another at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
GROUPS: dict[str, tuple[str, ...]] = {
    # Checked before the tests of queries, which take away some of what belongs together.
    "database": (
        "integration/ingest",
        "integration/cli_db/test_check.py",
        "integration/query",
        "integration/sql",
    ),
    "elasticsearch": ("contract/test_log_store.py", "integration/elasticsearch", "integration/serving/test_stores_away.py"),
    "migration": ("migration",),
    "maintenance": ("integration/maintenance",),
    "embedded": (
        "integration/embedded/test_limits.py",
        "integration/embedded/test_reader.py",
        "integration/embedded/test_clients.py",
        "integration/embedded/test_copy.py",
        "integration/embedded/test_psql.py",
        "integration/embedded/test_wire.py",
    ),
    "product": ("conformance", "integration/client", "integration/loadtest", "docs"),
    "acceptance": (
        "acceptance/test_fidelity.py",
        "acceptance/test_grpc_exporters.py",
        "acceptance/test_hostile.py",
        "acceptance/test_javascript_exporters.py",
        "acceptance/test_python_exporters.py",
        "acceptance/test_simulate.py",
    ),
    "packaging": ("packaging",),
}
"""What one process runs, in this order; everything else is by file."""
LONGEST = (
    "faults",
    "acceptance/test_workers.py",
    "acceptance/test_kill.py",
    "integration/embedded/test_restart.py",
    "acceptance",
    "integration/cli_db",
)
"""What begins next after the groups; then the rest of what starts processes, and what starts none at the end."""
LAST = ("property", "fuzz", "unit")


def spread(items: list[pytest.Item]) -> None:
    """Give every test its group and its place in the queue."""
    places = {item: _place(item.path.relative_to(TESTS).as_posix()) for item in items}
    for item, (_, group) in places.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: places[item][0])


def _place(path: str) -> tuple[tuple[int, int], str]:
    """Where in the queue a file stands, and its group's name."""
    for number, (name, parts) in enumerate(GROUPS.items()):
        if (at := _first(path, parts)) is not None:
            return (number, at), name
    after = len(GROUPS) + 1
    if (at := _first(path, LONGEST)) is not None:
        return (after, at), path
    return ((after + 1, 0) if (at := _first(path, LAST)) is None else (after + 2, at)), path


def _first(path: str, parts: Sequence[str]) -> int | None:
    return next((at for at, part in enumerate(parts) if path == part or path.startswith(part + "/")), None)
