"""The same receivers under libFuzzer, which keeps what reaches new code: ``python -m tests.fuzz.guided folder tests/fuzz/corpus/seeds``.

Needs atheris, which is not among our dependencies: ``pip install atheris``. ``folder`` takes what libFuzzer finds worth keeping; a crash
is a file ``crash-…`` in the working folder, and as it is a case for ``tests/fuzz/corpus/regressions``. All options of libFuzzer are known.
"""

from __future__ import annotations

import asyncio
import sys

import atheris

with atheris.instrument_imports(include=["tidegauge.otlp", "tidegauge.receiver", "tidegauge.ingest", "tidegauge.storage.postgres.copy"]):
    from tests.fuzz.cases import Case
    from tests.fuzz.receivers import Receivers, receivers


class Guided:
    """One loop and one pair of receivers for all inputs."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._context = receivers()
        self._receivers: Receivers = self._loop.run_until_complete(self._context.__aenter__())

    def run(self, data: bytes) -> None:
        """One input, in the form of the corpus' files."""
        try:
            case = Case.from_bytes(data)
        except ValueError:
            return
        if case.chunks < 1000 and (case.method != b"GRPC" or case.path in (b"traces", b"metrics", b"logs")):
            self._loop.run_until_complete(self._receivers.run(case))


def main() -> None:
    guided = Guided()
    atheris.Setup([*sys.argv, "-timeout=10", "-rss_limit_mb=1024", "-max_len=30000", "-use_value_profile=1"], guided.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
