"""Runs inputs one after another under bounds, and says on stdout what is wrong with any; what ends it is its parent's to notice."""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import resource
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.fuzz.cases import Case, corpus
from tests.fuzz.mutate import Mutator

CPU_SECONDS = 2.0
"""Of one input; a usual one takes 0.2 ms, a large one 0.1 s."""
ALLOCATED_BYTES = 192 << 20
"""What one input may add to the process's peak. A decoded request may take 32 MiB and 8 times its body of at most 4 MiB."""
ADDRESS_BYTES = 2 << 30
"""Of the process; beyond it allocations fail."""
GROWTH_BYTES = 128 << 20
"""What all inputs after the first tenth together may add to what the process holds."""
PROGRESS = struct.Struct("=qq")
"""In the shared file: the number of the current input, and how many are done."""
_FIRST_LOOK, _LOOK_EVERY = 10_000, 5_000


def main(target: str, folder: str, seed: str, first: str, last: str, progress: str, compare: str) -> None:
    """Run inputs ``first`` to ``last``; negative numbers are the cases of the corpus."""
    module, _, name = target.partition(":")
    child = _Child(getattr(import_module(module), name), corpus(Path(folder)), int(seed), Path(progress), int(compare))
    asyncio.run(child.run(int(first), int(last)))


def case_of(cases: list[Case], mutator: Mutator, number: int) -> Case:
    """The input of a number: mutated, or for -1, -2, … as the corpus has it."""
    return mutator.case(number) if number >= 0 else cases[-number - 1]


class _Child:
    def __init__(
        self, target: Callable[[], AbstractAsyncContextManager[Any]], cases: list[Case], seed: int, progress: Path, compare: int
    ) -> None:
        self._target = target
        self._cases = cases
        self._mutator = Mutator(self._cases, seed)
        self._compare = compare
        self._baseline = 0
        with progress.open("r+b") as file:
            self._progress = mmap.mmap(file.fileno(), PROGRESS.size)

    async def run(self, first: int, last: int) -> None:
        async with self._target() as target:
            resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
            peak = _peak_bytes()
            for done, number in enumerate(range(first, last)):
                PROGRESS.pack_into(self._progress, 0, number, done)
                case = case_of(self._cases, self._mutator, number)
                try:
                    # Not caught: who takes longer is killed, whatever code it is in.
                    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
                    await target.run(case)
                    signal.setitimer(signal.ITIMER_PROF, 0)
                except Exception as error:  # noqa: BLE001 (all of them are findings)
                    signal.setitimer(signal.ITIMER_PROF, 0)
                    _tell(number, "wrong", _described(error))
                before, peak = peak, _peak_bytes()
                if peak - before > ALLOCATED_BYTES:
                    _tell(number, "allocation", f"{(peak - before) >> 20} MiB")
                if self._compare and number % self._compare == 0:
                    self._check(number, case)
                    peak = _peak_bytes()
                if done >= _FIRST_LOOK and done % _LOOK_EVERY == 0:
                    self._look_at_growth(number)
            PROGRESS.pack_into(self._progress, 0, last, last - first)

    def _check(self, number: int, case: Case) -> None:
        from tests.fuzz.comparing import difference

        try:
            found = difference(case)
        except Exception as error:  # noqa: BLE001 (likewise)
            found = _described(error)
        if found:
            _tell(number, "differs", found)

    def _look_at_growth(self, number: int) -> None:
        held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
        self._baseline = self._baseline or held
        if held - self._baseline > GROWTH_BYTES:
            _tell(number, "growth", f"{(held - self._baseline) >> 20} MiB")
            self._baseline = held


def _peak_bytes() -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not ru_maxrss: on Linux that begins with the peak of the process that started this one.
    return int(status.partition("VmHWM:")[2].split(None, 1)[0]) << 10


def _described(error: Exception) -> str:
    """What is wrong and where."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {str(error)[:300]} ({Path(frames[-1].filename).name}:{frames[-1].lineno})"


def _tell(number: int, kind: str, what: str) -> None:
    print(json.dumps([number, kind, what]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
