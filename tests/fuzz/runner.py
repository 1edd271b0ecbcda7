"""Runs the children and keeps what they find."""

from __future__ import annotations

import json
import mmap
import re
import selectors
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from signal import SIGPROF, Signals
from typing import IO

from tests.fuzz.cases import CORPUS, Case, corpus
from tests.fuzz.child import PROGRESS, case_of
from tests.fuzz.mutate import Mutator

STUCK_SECONDS = 60.0
"""Without CPU time and without progress."""
SAME = 3
"""Findings of one kind that are kept."""
ENOUGH = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """An input and what is wrong with it: crash, hang, allocation, growth, wrong (the answer) or differs (from the reference)."""

    number: int
    kind: str
    what: str
    case: Case


class Runner:
    """Fuzzes a target, given as module:name of an async context manager without arguments."""

    def __init__(
        self,
        seed: int,
        target: str = "tests.fuzz.receivers:receivers",
        compare: int = 0,
        stuck_seconds: float = STUCK_SECONDS,
        folder: Path = CORPUS,
    ) -> None:
        self._seed = seed
        self._target = target
        self._compare = compare
        self._stuck_seconds = stuck_seconds
        self._folder = folder
        self._cases = corpus(folder)
        self._mutator = Mutator(self._cases, seed)
        self._seen: dict[str, int] = {}
        self.findings: list[Finding] = []
        self.done = 0

    def run(self, first: int, last: int, every: float = 0.0) -> None:
        """Run inputs ``first`` to ``last`` in as many children as it takes; ``every`` so many seconds a line says how far."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(PROGRESS.size))
            file.flush()
            while first < last and len(self.findings) < ENOUGH:
                first = self._child(first, last, Path(file.name), every)

    def _child(self, first: int, last: int, progress: Path, every: float) -> int:
        """One child; where the next begins."""
        arguments = [self._target, str(self._folder), str(self._seed), str(first), str(last), str(progress), str(self._compare)]
        with progress.open("r+b") as file, mmap.mmap(file.fileno(), PROGRESS.size) as shared:
            PROGRESS.pack_into(shared, 0, first, 0)
            with subprocess.Popen([sys.executable, "-m", "tests.fuzz.child", *arguments], stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                try:
                    stuck = self._watch(process, process.stdout, shared, every)
                except BaseException:
                    process.kill()
                    raise
            number, done = PROGRESS.unpack_from(shared, 0)
        self.done += done
        if process.returncode == 0:
            return last
        if stuck:
            self._found(number, "hang", f"no progress for {self._stuck_seconds:g} s")
        elif process.returncode == -SIGPROF:
            self._found(number, "hang", "CPU time")
        elif process.returncode < 0:
            self._found(number, "crash", Signals(-process.returncode).name)
        else:
            self._found(number, "crash", f"the process ended with {process.returncode}")
        return int(number) + 1

    def _watch(self, process: subprocess.Popen[bytes], output: IO[bytes], shared: mmap.mmap, every: float) -> bool:
        """Until the child ends; whether it had to be ended since nothing went on."""
        last_number, since = None, time.monotonic()
        started = said = since
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                for _ in selector.select(0.2):
                    line = output.readline()
                    if not line:
                        return False
                    self._found(*json.loads(line))
                now = time.monotonic()
                number, done = PROGRESS.unpack_from(shared, 0)
                if number != last_number or _is_suspended(process.pid):
                    last_number, since = number, now
                elif now - since > self._stuck_seconds:
                    process.kill()
                    return True
                if len(self.findings) >= ENOUGH:
                    process.terminate()
                if every and now - said >= every:
                    said = now
                    print(f"{self.done + done} inputs, {done / (now - started):.0f}/s, {len(self.findings)} findings", flush=True)

    def _found(self, number: int, kind: str, what: str) -> None:
        like = re.sub(r"[0-9]+", "0", f"{kind} {what}")[:120]
        self._seen[like] = self._seen.get(like, 0) + 1
        if self._seen[like] <= SAME:
            self.findings.append(Finding(number, kind, what, case_of(self._cases, self._mutator, number)))

    def counts(self) -> dict[str, int]:
        """How often each kind of finding came up."""
        return self._seen


def _is_suspended(pid: int) -> bool:
    """Whether a process was stopped, as by SIGSTOP: it waits for its user then."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def keep(finding: Finding, folder: Path) -> Path:
    """Save a finding's input as a case of the corpus."""
    raw = finding.case.to_bytes()
    path = folder / f"{finding.kind}-{blake2b(raw, digest_size=6).hexdigest()}.request"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return path
