"""What is done to the product while it works, in an order that a seed decides."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.exporters import Book
from tests.faults.product import Product, alive

_RECOVERY_SECONDS = 180
_END_SECONDS = 90


@dataclass(frozen=True)
class Server:
    """Shell commands that kill a database server and start it again."""

    kill: str
    start: str


@dataclass
class Killer:
    """Does harm, and notes what must not follow from it in the book."""

    product: Product
    book: Book
    chance: random.Random
    server: Server | None = None
    say: Callable[[str], None] = print
    done: Counter[str] = field(default_factory=Counter)
    _orphans: set[int] = field(default_factory=set)

    def kinds(self) -> dict[str, Callable[[], None]]:
        """What can be done to this product."""
        found = {
            "parent SIGKILL": self._kill_parent,
            "parent SIGKILL while it starts": self._kill_starting_parent,
            "everything SIGKILL": self._kill_everything,
            "parent SIGTERM": self._terminate_parent,
            "parent SIGSTOP": lambda: self._pause([self.product.pid]),
        }
        family = self.product.family()
        if family.workers:
            found["worker SIGKILL"] = lambda: self._signal(self.product.family().workers, signal.SIGKILL)
            found["worker SIGTERM"] = lambda: self._signal(self.product.family().workers, signal.SIGTERM)
            found["worker SIGSTOP"] = lambda: self._pause(self.product.family().workers)
        if family.database:
            found["database SIGKILL"] = lambda: self._signal(self.product.family().database, signal.SIGKILL)
            found["database SIGKILL twice"] = self._kill_starting_database
            found["database SIGSTOP"] = lambda: self._pause(self.product.family().database)
        if not self.product.is_embedded:
            found["connections ended"] = self._end_connections
        if self.server is not None:
            found["server SIGKILL"] = self._kill_server
            found["server process SIGKILL"] = self._kill_backend
        return found

    def plan(self, count: int) -> list[str]:
        """``count`` kinds, each as often as any other, in random order."""
        kinds = sorted(self.kinds())
        chosen = [kinds[number % len(kinds)] for number in range(count)]
        self.chance.shuffle(chosen)
        return chosen

    def do(self, kind: str) -> None:
        """One of :meth:`kinds`; what it hits may first have to come back from what was done before."""
        ends = time.monotonic() + _RECOVERY_SECONDS
        while (harm := self.kinds().get(kind)) is None:
            self.product.until_ready()
            if time.monotonic() > ends:
                self.book.fault(f"there is nothing left for {kind}")
                return
            time.sleep(0.05)
        self.say(f"{time.strftime('%H:%M:%S')} {kind}")
        self.done[kind] += 1
        harm()

    def until_recovered(self) -> None:
        """Return when the product is up and every exporter has been told of success since now."""
        self.product.until_ready()
        before, ends = self.book.progress(), time.monotonic() + _RECOVERY_SECONDS
        while any(count <= before[exporter] for exporter, count in self.book.progress().items()):
            if self.book.faults:
                return
            if not self.product.is_running:
                self.book.fault("`tidegauge up` ended by itself")
                return
            if time.monotonic() > ends:
                self.book.fault(f"an exporter got nothing stored for {_RECOVERY_SECONDS} s, with everything running")
                return
            time.sleep(0.05)

    def check_orphans(self) -> None:
        """Everything below a parent that was killed has ended."""
        ends = time.monotonic() + _END_SECONDS
        while left := [pid for pid in self._orphans if alive(pid)]:
            if time.monotonic() > ends:
                self.book.fault(f"processes {left} outlived the parent that was killed")
                return
            time.sleep(0.1)

    def _kill_parent(self) -> None:
        family = self.product.family()
        self._orphans.update(family.workers, family.database)
        self.product.kill()
        self._wait(0, 1.5)
        self.product.launch()

    def _kill_everything(self) -> None:
        """As when a machine or a container goes down."""
        family = self.product.family()
        self.product.kill()
        for pid in (*family.workers, *family.database):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.product.launch()

    def _kill_starting_parent(self) -> None:
        for _ in range(2):
            self._kill_parent()
            self._wait(0, 4)
        if self.product.is_running:
            self._kill_parent()

    def _terminate_parent(self) -> None:
        self.product.until_ready()
        try:
            code = self.product.terminate()
        except subprocess.TimeoutExpired:
            self.book.fault("`tidegauge up` did not end after SIGTERM")
            return
        if code:
            self.book.fault(f"`tidegauge up` ended with {code} after SIGTERM")
        self.product.launch()

    def _kill_starting_database(self) -> None:
        self._signal(self.product.family().database, signal.SIGKILL)
        self._wait(0.1, 2)
        self._signal(self.product.family().database, signal.SIGKILL)

    def _end_connections(self) -> None:
        with contextlib.suppress(Exception):
            self.product.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def _kill_server(self) -> None:
        assert self.server is not None
        subprocess.run(self.server.kill, shell=True, check=False, capture_output=True)
        self._wait(0, 8)
        subprocess.run(self.server.start, shell=True, check=True, capture_output=True)

    def _kill_backend(self) -> None:
        """PostgreSQL ends all its processes and recovers when one of them is killed."""
        with contextlib.suppress(Exception):
            rows = self.product.query(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
                " AND pid <> pg_backend_pid()"
            )
            self._signal([row[0] for row in rows], signal.SIGKILL)

    def _signal(self, pids: tuple[int, ...] | list[int], which: signal.Signals) -> None:
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.chance.choice(pids), which)

    def _pause(self, pids: tuple[int, ...] | list[int]) -> None:
        """Stop a process for a while; sometimes longer than exporters wait for an answer."""
        if not pids:
            return
        pid = self.chance.choice(pids)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            try:
                self._wait(*((10, 14) if self.chance.random() < 0.2 else (0.2, 3)))
            finally:
                os.kill(pid, signal.SIGCONT)

    def _wait(self, shortest: float, longest: float) -> None:
        time.sleep(self.chance.uniform(shortest, longest))
