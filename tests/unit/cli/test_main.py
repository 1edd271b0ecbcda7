"""Errors and messages as a person reads them: what somebody else wrote in them is shown as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegauge.cli import main, terminal

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command where no .env is; returns its exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["tidegauge", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.run()
        return int(ended.value.code or 0)

    return run


@pytest.mark.parametrize("value", ["[/x]:y", "[red]:x", ":smile:", "[/]\\"])
def test_a_malformed_setting_is_one_readable_message(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    monkeypatch.setenv("TIDEGAUGE_API_LISTEN", value)
    assert run("config") == 2
    assert capsys.readouterr().err == (
        f"error: TIDEGAUGE_API_LISTEN={value!r}: expected host:port, for example 127.0.0.1:4318\n"
        "hint:  `tidegauge config` lists every setting with its value\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("db", "status", "--data", "/nowhere/[/x]"),
        ("simulate", "--batch", "[/x]"),
        ("simulate", "--duration", "[/x]"),
        ("up", "--otlp", "[/x]"),
    ],
)
def test_an_argument_that_looks_like_markup_is_shown(run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert run(*arguments) in {1, 2}
    assert "[/x]" in capsys.readouterr().err


@pytest.mark.parametrize("workers", ["0", "-1", "65"])
@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_number_of_workers_that_makes_no_sense_is_refused(
    run: Run, capsys: pytest.CaptureFixture[str], command: str, workers: str
) -> None:
    assert run(command, "--workers", workers) == 2
    assert f"TIDEGAUGE_SERVE_WORKERS={workers}: Input should be " in capsys.readouterr().err


def test_a_duration_beyond_all_bounds_is_one_readable_message(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulate", "--duration", "99999999999999d") == 2
    assert "--duration=99999999999999d: that is longer than any duration can be" in capsys.readouterr().err


def test_progress_and_columns_show_what_they_are_given(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.progress("embedded database in /data/[/x]:smile:")
    terminal.show_columns([("Data", "/data/[bold]")])
    shown = capsys.readouterr().err
    assert "embedded database in /data/[/x]:smile:\n" in shown
    assert "/data/[bold]" in shown


def test_config_shows_every_setting_on_a_line_of_its_own(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = "/" + "[long]" * 40
    monkeypatch.setenv("TIDEGAUGE_EMBEDDED_DATA_DIR", folder)
    assert run("config") == 0
    shown = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines() if " " in line)
    assert (shown["TIDEGAUGE_EMBEDDED_DATA_DIR"], shown["TIDEGAUGE_OTLP_MAX_BODY_BYTES"]) == (folder, "64MiB")
    assert run("config", "--json") == 0
    assert json.loads(capsys.readouterr().out)["TIDEGAUGE_EMBEDDED_DATA_DIR"] == folder
