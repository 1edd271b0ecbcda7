"""The command's options and what it prints."""

import io
import sys

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from tidegauge.cli.simulate import simulate
from tidegauge.errors import ConfigurationError
from tidegauge.simulate.display import PlainProgress, print_summary
from tidegauge.simulate.plan import Outcome
from tidegauge.simulate.report import Progress, Signal, Summary


@pytest.fixture(name="invoke")
def _invoke():
    app = typer.Typer()
    app.command()(simulate)
    return lambda *arguments: CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "30-20"], "--batch=30-20"),
        (["--duration", "soon"], "--duration=soon"),
        (["--duration", "0"], "nothing to simulate"),
        (["--backfill", "400d"], "--backfill goes back further than metrics are kept"),
        (["--endpoint", "localhost:4318"], "--endpoint=localhost:4318"),
        (["--endpoint", "http://localhost:port"], "expected an address"),
        (["--protocol", "thrift"], "thrift is not a protocol"),
        (["--protocol", "grpc", "--malformed-otlp"], "--malformed-otlp is sent over HTTP"),
    ],
)
def test_what_cannot_be_is_said(invoke, arguments, message) -> None:
    result = invoke(*arguments)
    assert isinstance(result.exception, ConfigurationError)
    assert message in str(result.exception)


def test_without_the_extra_it_says_what_to_install(invoke, monkeypatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("tidegauge.simulate.", "opentelemetry.exporter"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    result = invoke("--duration", "1s")
    assert "pip install 'tidegauge[simulate]'" in str(result.exception)


def test_progress_without_a_terminal_is_lines() -> None:
    printed = io.StringIO()
    progress = PlainProgress(Console(file=printed))
    for done in (0.1, 0.2, 1.0):
        progress.show(Progress("live", done, 25, dict.fromkeys(Signal, 10), 2))
    lines = printed.getvalue().splitlines()
    assert len(lines) == 2  # the first, none so soon after it, the last
    assert lines[-1] == "live 100%: 25 requests, 10 spans, 10 log records, 10 metric points, 2 lost"


def test_the_summary_names_every_reason() -> None:
    printed = io.StringIO()
    summary = Summary(7, "http://127.0.0.1:4318", failed={"spans: HTTP 401: [red]no token": 5}, notes=["history"])
    summary.requests[Outcome.SLOW] = 3
    print_summary(Console(file=printed, width=120), summary)
    text = printed.getvalue()
    assert "failed: spans: HTTP 401: [red]no token" in text
    assert "seed 7" in text
    assert "Note: history" in text
    assert not summary.ok
    assert summary.as_dict()["failed"] == {"spans: HTTP 401: [red]no token": 5}
