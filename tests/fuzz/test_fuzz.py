"""The fuzzer in every run: the corpus and a few thousand mutations of it, always the same; and that it notices what it is for."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.cases import Case, corpus
from tests.fuzz.mutate import Mutator
from tests.fuzz.runner import Runner
from tests.fuzz.seeds import seeds


@pytest.mark.parametrize(("target", "inputs"), [("receivers:receivers", 3000), ("attributes:attributes", 200)])
def test_receivers_and_attributes(target: str, inputs: int, tmp_path: Path) -> None:
    options = {"--target": f"tests.fuzz.{target}", "--inputs": inputs, "--seed": 4, "--compare": 30, "--findings": tmp_path}
    command = [sys.executable, "-m", "tests.fuzz", *(str(one) for option in options.items() for one in option)]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert not list(tmp_path.iterdir())


def test_files_hold_cases() -> None:
    for case in [*corpus(), Case(b"GRPC", b"logs", (), b"\n\n\0", 3, gone=True)]:
        assert Case.from_bytes(case.to_bytes()) == case
    # The committed ones are what the script writes.
    assert all(case in corpus() for case in seeds().values())


def test_inputs_follow_from_seed_and_number() -> None:
    first, second, other = (Mutator(corpus(), seed) for seed in (1, 1, 2))
    assert [first.case(number) for number in range(50)] == [second.case(number) for number in range(50)]
    assert first.case(7) != other.case(7)


@pytest.mark.parametrize(
    ("path", "kind", "what"),
    [
        ("/answer", "wrong", "Wrong: status 500"),
        ("/raise", "wrong", "ZeroDivisionError"),
        ("/spin", "hang", "CPU time"),
        ("/wait", "hang", "no progress"),
        ("/allocate", "allocation", " MiB"),
        ("/crash", "crash", "SIGSEGV"),
    ],
)
def test_faults_are_found(path: str, kind: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "bad.request").write_bytes(Case(b"POST", path.encode()).to_bytes())
    (tmp_path / "good.request").write_bytes(Case(b"POST", b"/").to_bytes())
    runner = Runner(0, "tests.fuzz.broken:broken", stuck_seconds=2 if path == "/wait" else 60, folder=tmp_path)
    runner.run(-2, 0)
    assert runner.done == 2 - (kind in ("hang", "crash"))
    (finding,) = runner.findings
    assert (finding.kind, finding.case.path) == (kind, path.encode())
    assert what in finding.what


def test_a_body_of_many_gzip_members(tmp_path: Path) -> None:
    headers = ((b"content-type", b"application/x-protobuf"), (b"content-encoding", b"gzip"))
    many = Case(b"POST", b"/v1/logs", headers, gzip.compress(b"", mtime=0) * 100_000)
    (tmp_path / "many.request").write_bytes(many.to_bytes())
    runner = Runner(0, folder=tmp_path)
    runner.run(-1, 0)
    assert not runner.findings
