"""The OpenTelemetry SDK for JavaScript and its own exporters, http/protobuf and http/json."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import platformdirs
import pytest

HERE = Path(__file__).parent / "js"
MINIMUM_NODE = (20, 6)


@pytest.fixture(scope="module", name="packages")
def _packages() -> Path:
    """The folder with the locked packages, installed once for this lock file."""
    _check_node()
    lock = (HERE / "package-lock.json").read_bytes()
    folder = platformdirs.user_cache_path("tidegauge-tests", appauthor=False) / f"js-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(HERE / name, folder / name)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            _cannot(f"npm ci failed: {done.stderr[-2000:]}")
        (folder / "installed").touch()
    return folder


def _check_node() -> None:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            _cannot(f"there is no {program} on PATH")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(int(part) for part in version.lstrip("v").split(".")[:2]) < MINIMUM_NODE:
        _cannot(f"the SDK needs Node.js >= {'.'.join(map(str, MINIMUM_NODE))}, this is {version}")


def _cannot(why: str) -> None:
    """A skip where somebody works; in CI nothing may be left out unseen."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module", name="sent", params=["proto", "http"], ids=["http/protobuf", "http/json"])
def _sent(request, product, packages) -> dict[str, Any]:
    mark = uuid4().hex[:8]
    done = subprocess.run(
        ["node", str(HERE / "export.mjs"), product.otlp_url, request.param, mark], cwd=packages, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"mark": mark, "service": f"js-{mark}"}


def test_no_exporter_complains(sent) -> None:
    assert sent["complaints"] == []


def test_spans_arrive_with_all_their_attributes(product, sent) -> None:
    trace = product.get(f"/api/v1/traces/{sent['traceId']}", attributes="map")
    assert (trace["span_count"], trace["error_count"], trace["services"]) == (2, 1, [sent["service"]])
    [root] = trace["spans"]
    assert (root["name"], root["kind"], root["span_id"]) == (f"root {sent['mark']}", "SERVER", sent["rootId"])
    assert root["attributes"] == sent["attributes"]
    seconds, nanoseconds = sent["start"]
    assert root["start_time_unix_nano"] == str(seconds * 10**9 + nanoseconds)
    [child] = root["children"]
    assert (child["kind"], child["status"]) == ("CLIENT", {"code": "ERROR", "message": "it failed"})
    assert child["duration_ns"] == 987654321 - 123456789
    assert [(event["name"], event["attributes"]) for event in child["events"]] == [("happened", {"detail": "x"})]
    assert [(link["span_id"], link["attributes"]) for link in child["links"]] == [(sent["rootId"], {"why": "test"})]


def test_logs_arrive_with_their_trace(product, sent) -> None:
    logs = product.get("/api/v1/logs", trace_id=sent["traceId"], attributes="map")["logs"]
    by_event = {log["event_name"]: log for log in logs}
    assert set(by_event) == {"", "acceptance.event"}
    plain, structured = by_event[""], by_event["acceptance.event"]
    assert (plain["body"], plain["severity_text"], plain["attributes"]) == (f"log {sent['mark']}", "WARN", {"key": "value", "n": 3})
    assert structured["body"] == {"structured": [1, "two"], "mark": sent["mark"]}
    assert {log["span_id"] for log in logs} == {sent["rootId"]}


def test_metrics_arrive_with_names_and_labels(product, sent) -> None:
    listed = {metric["name"]: metric for metric in product.get("/api/v1/metrics", service=sent["service"])["metrics"]}
    assert {name: metric["type"] for name, metric in listed.items()} == {
        "js.requests": "sum",
        "js.active": "sum",
        "js.temperature": "gauge",
        "js.duration": "histogram",
        "js.exponential": "exponential_histogram",
    }
    assert (listed["js.requests"]["unit"], listed["js.requests"]["description"]) == ("{request}", "Requests.")
    [series] = product.get("/api/v1/metrics/js.temperature/range", service=sent["service"], start="now-1h", aggregation="last")["series"]
    assert (series["labels"]["room"], series["points"][-1][1]) == ("kitchen", 21.5)
