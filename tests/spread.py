"""How the whole suite is spread over the processes of pytest-xdist (``make test`` without arguments: tools/dev.py).

Each process has servers of its own. A file's tests stay together and in their order. So do files that share a server which is expensive, or
look at all that is in one. What takes longest begins first, so that none of the processes waits for another at the end.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent
GROUPS: dict[str, tuple[str, ...]] = {
    # Checked before the tests of queries, which take away some of what belongs together, and maintained before they leave much to do.
    "database": (
        "integration/ingest",
        "integration/cli_db/test_check.py",
        "integration/telemetry/test_own_metrics.py",
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
        "integration/embedded/test_precedence.py",
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


class Groups(LoadScopeScheduling):
    """Hands out groups in the order of the queue."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        # By default those of most tests would come first.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return place(nodeid.partition("::")[0].removeprefix(f"{TESTS.name}/"))[1]


def in_order(items: list[pytest.Item]) -> None:
    """Put the tests in the order of the queue."""
    items.sort(key=lambda item: place(item.path.relative_to(TESTS).as_posix())[0])


@functools.cache
def place(path: str) -> tuple[tuple[int, int], str]:
    """Where in the queue a file stands, and its group's name: that of ``GROUPS``, or the file itself."""
    for number, (name, parts) in enumerate(GROUPS.items()):
        if (at := _first(path, parts)) is not None:
            return (number, at), name
    after = len(GROUPS)
    if (at := _first(path, LONGEST)) is not None:
        return (after, at), path
    return ((after + 1, 0) if (at := _first(path, LAST)) is None else (after + 2, at)), path


def _first(path: str, parts: Sequence[str]) -> int | None:
    return next((at for at, part in enumerate(parts) if path == part or path.startswith(part + "/")), None)
