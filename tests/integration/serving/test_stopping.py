"""How a process ends, seen from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from subprocess import PIPE, Popen

import pytest

PROGRAM = """
import asyncio
import sys
from tidegauge.serving import Ending, Stop, leave

async def work():
    try:
        print("ready", flush=True)
        await asyncio.Event().wait()
    finally:
        {end}
        print("in order", flush=True)

if asyncio.run(Stop(Ending({seconds}, lambda who: print(who, flush=True), lambda: print("at once", flush=True))).run(work())):
    leave(0)
"""
HANGS = "await asyncio.Event().wait()"
ENDS = "await asyncio.sleep(0)"
Start = Callable[[str, float], "Popen[str]"]


@pytest.fixture(name="start")
def _start() -> Iterator[Start]:
    started: list[Popen[str]] = []

    def start(end: str, seconds: float) -> Popen[str]:
        process = Popen([sys.executable, "-c", PROGRAM.format(end=end, seconds=seconds)], stdout=PIPE, text=True)
        started.append(process)
        assert said(process) == "ready"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def said(process: Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_in_order(start: Start, which: signal.Signals) -> None:
    process = start(ENDS, 3600)
    process.send_signal(which)
    assert [said(process), said(process)] == [which.name, "in order"]
    assert process.wait(60) == 0


def test_a_signal_that_comes_twice_at_once_is_one(start: Start) -> None:
    process = start(ENDS, 3600)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    assert [said(process), said(process)] == ["SIGTERM", "in order"]
    assert process.wait(60) == 0


def test_an_end_that_hangs_is_cut_short_and_loses_nothing(start: Start) -> None:
    process = start(HANGS, 0.2)
    process.send_signal(signal.SIGTERM)
    assert [said(process), said(process)] == ["SIGTERM", "at once"]
    assert process.wait(60) == 0


def test_a_second_signal_ends_at_once(start: Start) -> None:
    process = start(HANGS, 3600)
    process.send_signal(signal.SIGTERM)
    assert said(process) == "SIGTERM"
    status = None
    while status is None:
        process.send_signal(signal.SIGINT)
        try:
            status = process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    assert status == 130
    assert said(process) == "at once"
