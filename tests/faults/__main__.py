"""``python -m tests.faults --minutes 10``: the long form of the fault test. Exit status 1 where anything was lost, doubled or wrong."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.faults.killer import Server
from tests.faults.run import Plan, run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--kills", type=int, help="default: 4 a minute")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between an exporter's requests, on average")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--server", metavar="URL", help="an empty database of a TimescaleDB server; default: embedded")
    parser.add_argument("--kill-server", metavar="COMMAND", help="kills that server (its processes may then be killed one by one, too)")
    parser.add_argument("--start-server", metavar="COMMAND", help="starts it again, and returns when it takes connections")
    options = parser.parse_args()
    if bool(options.kill_server) != bool(options.start_server):
        parser.error("--kill-server and --start-server go together")
    server = Server(options.kill_server, options.start_server) if options.kill_server else None
    kills = options.kills or max(1, round(options.minutes * 4))
    plan = Plan(options.minutes * 60, kills, options.seed, options.workers, options.server, server, options.pause)
    folder = Path(tempfile.mkdtemp(prefix="tidegauge-faults-"))
    report = run(plan, folder)
    sys.stdout.writelines(f"{line}\n" for line in report.lines())
    if report.faults:
        sys.exit(f"data and log are in {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
