"""``python -m tests.fuzz``: run the corpus and so many mutations of it; ends with 1 if anything is found."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from tests.fuzz.cases import CORPUS, corpus
from tests.fuzz.runner import Runner, keep


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the OTLP receivers.")
    parser.add_argument("--inputs", type=int, default=100_000, help="mutated inputs")
    parser.add_argument("--seed", type=int, default=0, help="what they follow from")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--compare", type=int, default=100, metavar="N", help="every Nth is decoded by the reference as well; 0 for none")
    parser.add_argument("--findings", type=Path, default=CORPUS / "regressions", help="folder that inputs with findings are saved in")
    parser.add_argument("--target", default="tests.fuzz.receivers:receivers", help="module:name of what is fuzzed")
    parser.add_argument("--stuck-seconds", type=float, default=60.0, help="of an input without progress")
    parser.add_argument("--quiet", action="store_true", help="say only what is found")
    options = parser.parse_args()
    runner = Runner(options.seed, options.target, options.compare, options.stuck_seconds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    started = time.monotonic()
    runner.run(-len(corpus()), 0)
    runner.run(options.first, options.first + options.inputs, 0.0 if options.quiet else 10.0)
    for finding in runner.findings:
        print(f"{finding.kind}: {finding.what}: input {finding.number}, {keep(finding, options.findings)}")
    seconds = time.monotonic() - started
    print(f"{runner.done} inputs in {seconds:.0f} s ({runner.done / seconds:.0f}/s), {len(runner.findings)} findings")
    for like, times in sorted(runner.counts().items()):
        print(f"  {times} × {like}")
    return 1 if runner.findings else 0


if __name__ == "__main__":
    sys.exit(main())
