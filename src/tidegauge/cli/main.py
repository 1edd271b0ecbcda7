"""The command line: ``tidegauge``."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import orjson
import typer

from tidegauge import __version__, config
from tidegauge.cli.check import check
from tidegauge.cli.db import db_app
from tidegauge.cli.loadtest import loadtest
from tidegauge.cli.simulate import simulate
from tidegauge.cli.terminal import tell
from tidegauge.cli.up import serve, up
from tidegauge.errors import TidegaugeError

app = typer.Typer(
    name="tidegauge",
    help="Telemetry store on TimescaleDB: OpenTelemetry in, SQL out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(up)
app.command()(serve)
app.add_typer(db_app)
app.command()(simulate)
app.command()(loadtest)
app.command()(check)


@app.command("config")
def show_config(as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False) -> None:
    """Print every setting with the value in force; secrets are masked.

    Examples:
      tidegauge config
      TIDEGAUGE_LIFECYCLE_TRACES_RETENTION=14d tidegauge config --json

    """
    values = config.effective(config.load())
    if as_json:
        sys.stdout.write(orjson.dumps(values, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    width = max(map(len, values))
    sys.stdout.writelines(f"{name:{width}}  {value}".rstrip() + "\n" for name, value in values.items())


@app.command()
def version() -> None:
    """Print the version."""
    sys.stdout.write(f"tidegauge {__version__}\n")


def run() -> None:
    """The entry point: a TidegaugeError becomes one readable message and its exit code, never a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        app()
    except TidegaugeError as error:
        tell(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
