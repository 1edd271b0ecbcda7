"""`tidegauge simulate` against the running product, and what a user then sees."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

SEED = 20


def command(product, *arguments: str) -> dict[str, Any]:
    """How the simulator is called with the settings of the product, as in a second shell."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGAUGE_", "OTEL_", "DATABASE_"))}
    environment["TIDEGAUGE_OTLP_LISTEN"] = product.otlp_url.removeprefix("http://")
    environment["TIDEGAUGE_OTLP_GRPC_LISTEN"] = product.grpc_url.removeprefix("http://")
    environment["TIDEGAUGE_EMBEDDED_DATA_DIR"] = str(product.folder / "data")
    return {"args": [sys.executable, "-m", "tidegauge.cli.main", "simulate", *arguments], "env": environment, "cwd": product.folder}


def run(product, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(**command(product, *arguments), capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module", name="summary")
def _summary(product) -> dict[str, Any]:
    done = run(product, "--seed", str(SEED), "--duration", "3s", "--backfill", "2h", "--malformed-otlp", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "live 100%" in done.stderr  # progress, without a terminal too
    return json.loads(done.stdout)


def test_everything_arrives_and_broken_otlp_is_refused(summary) -> None:
    assert summary["ok"], summary
    assert all(summary["requests"][outcome] > 0 for outcome in ("success", "error", "slow", "malformed"))
    assert all(count > 0 for count in summary["accepted"].values())
    assert all(answer.endswith(("HTTP 400", "HTTP 415")) for answer in summary["malformed_otlp"])


def test_what_was_accepted_is_what_the_reader_counts(product, summary) -> None:
    """The SDK's encoder can leave points out without a word: what counts is what stands in the database."""
    names = ("frontend", "cart", "checkout", "payment", "inventory")
    stored = {
        what: product.query(f"SELECT count(*) AS count FROM {view} WHERE application IN {names}")[0]["count"]
        for what, view in (("spans", "traces"), ("logs", "logs"), ("metric_points", "metrics"))
    }
    assert stored == summary["accepted"]


def test_grpc_is_a_protocol_of_it(product) -> None:
    before = product.query("SELECT count(*) AS count FROM traces")[0]["count"]
    done = run(product, "--duration", "1s", "--protocol", "grpc", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    accepted = json.loads(done.stdout)["accepted"]
    assert accepted["spans"] > 0
    assert product.query("SELECT count(*) AS count FROM traces")[0]["count"] == before + accepted["spans"]


def test_the_rollups_show_the_shop_with_names_and_labels(product, summary) -> None:
    found = product.get("/api/v1/metrics/http.server.request.duration/rollups/hourly", start="now-6h", match=['service.namespace="shop"'])[
        "series"
    ]
    assert {series["labels"]["service.name"] for series in found} == {"frontend", "cart", "checkout", "payment", "inventory"}
    assert {series["unit"] for series in found} == {"s"}
    listing = [series for series in found if series["labels"].get("http.route") == "/products"]
    assert {series["labels"]["http.response.status_code"] for series in listing} >= {"200"}
    assert max(len(series["rollups"]) for series in found) >= 2
    observations = sum(rollup["count"] for series in found for rollup in series["rollups"])
    assert observations > sum(summary["requests"].values())


def test_a_trace_shows_its_tree_across_services(product, summary) -> None:
    [found, *_] = product.get("/api/v1/traces", service="payment", operation="authorize", start="now-6h", limit=5)["spans"]
    trace = product.get(f"/api/v1/traces/{found['trace_id']}")
    [root] = trace["spans"]
    assert (root["service"], root["name"], root["detached"]) == ("frontend", "POST /checkout", None)
    assert {"frontend", "checkout", "cart", "inventory", "payment"} <= set(trace["services"])
    assert _depth(root) >= 5
    logs = product.get("/api/v1/logs", trace_id=found["trace_id"], start="now-6h")["logs"]
    assert "frontend" in {log["service"] for log in logs}


def _depth(span: dict[str, Any]) -> int:
    return 1 + max((_depth(child) for child in span["children"]), default=0)


def test_the_reader_role_sees_names_and_labels(product, summary) -> None:
    rows = product.query("SELECT * FROM metrics WHERE timestamp > now() - interval '24 hours' ORDER BY timestamp DESC")
    durations = [row for row in rows if row["metric_name"] == "http.server.request.duration"]
    assert {row["application"] for row in durations} >= {"frontend", "cart", "checkout", "payment", "inventory"}
    assert all(row["unit"] == "s" and row["labels"]["http.request.method"] for row in durations if row["application"] == "cart")
    hourly = product.query("SELECT * FROM metrics_hourly WHERE bucket > now() - interval '7 days' ORDER BY bucket DESC")
    assert {row["metric_name"] for row in hourly} >= {"shop.orders", "process.memory.usage", "http.server.active_requests"}


def test_a_failed_export_is_told_by_reason_and_exit_code(product) -> None:
    done = run(product, "--endpoint", product.api_url + "/nowhere", "--duration", "1s", "--json")
    assert done.returncode == 1, done.stdout
    summary = json.loads(done.stdout)
    assert not summary["ok"]
    assert all(": HTTP 404" in reason for reason in summary["failed"])


def test_nothing_at_the_address_is_said_at_once(product) -> None:
    done = run(product, "--endpoint", "http://127.0.0.1:9", "--wait", "0")
    assert done.returncode == 1
    assert "nothing answers at http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_it_with_a_summary(product) -> None:
    started = subprocess.Popen(**command(product, "--forever"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stderr is not None
    assert started.stderr.readline().startswith("live:")
    started.send_signal(signal.SIGINT)
    printed, errors = started.communicate(timeout=60)
    assert (started.returncode, "Traceback" in errors) == (0, False)
    assert "stopped early" in printed
