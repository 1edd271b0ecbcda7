"""Every curl of docs/api.md is answered, with the fields that the document shows."""

from __future__ import annotations

import re
import shlex
import time
import uuid
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.docs.generated import DOCS
from tests.servers.product import Product

_EXAMPLE = re.compile(r"^```console\n\$ (curl (?:(?!^```).)*?)\n```\n\n```(json|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LOG_ID = re.compile(r"\b[0-9a-f]{32}-\d+\b")
_TRACE_ID = re.compile(r"\b[0-9a-f]{32}\b")
_LOGS = "/logs"


def examples() -> list[tuple[str, str]]:
    """Commands about logs and the documents that answer them."""
    found = _EXAMPLE.findall((DOCS / "api.md").read_text(encoding="utf-8"))
    return [(command, answer) for command, kind, answer in found if kind == "json" and _LOGS in command and "yesterday" not in command]


def request_of(command: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Method, path and parameters of a curl."""
    words = shlex.split(command)
    url = urlsplit(next(word for word in words if word.startswith("http")))
    given = [word.partition("=")[::2] for flag, word in pairwise(words) if flag == "-d"]
    return ("DELETE" if "DELETE" in words else "GET"), url.path, [*parse_qsl(url.query), *given]


def top_fields(document: str) -> set[str]:
    """Names at the top of a JSON document, of which parts may be left out."""
    depth, names = 0, set()
    for token in re.finditer(r'"((?:[^"\\]|\\.)*)"(\s*:)?|[{}\[\]]', document):
        if token[0] in "{[":
            depth += 1
        elif token[0] in "}]":
            depth -= 1
        elif token[2] and depth == 1:
            names.add(token[1])
    return names


@pytest.fixture(scope="module")
async def log(product: Product) -> dict[str, Any]:
    """A record as the examples look for it."""
    trace_id = uuid.uuid4().hex
    body = {"stringValue": "authorize failed: the gateway declined: insufficient funds"}
    attributes = [{"key": "exception.type", "value": {"stringValue": "TimeoutError"}}]
    record = {"timeUnixNano": str(time.time_ns()), "severityNumber": 17, "body": body, "traceId": trace_id, "attributes": attributes}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "payment"}}]}
    async with httpx.AsyncClient(base_url=product.otlp_url) as http:
        sent = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
        assert (await http.post("/v1/logs", json=sent)).status_code == 200
    async with product.api() as http:
        (found,) = (await http.get("/api/v1/logs", params={"trace_id": trace_id})).json()["logs"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(("command", "answer"), examples(), ids=lambda text: text.split("/api/v1/")[-1][:40] if "curl" in text else "")
async def test_examples_are_answered(product: Product, log: dict[str, Any], command: str, answer: str) -> None:
    method, path, parameters = request_of(command)
    path = _TRACE_ID.sub(log["trace_id"], _LOG_ID.sub("LOG_ID", path)).replace("LOG_ID", log["log_id"])
    async with product.api() as http:
        answered = await http.request(method, path, params=parameters)
    assert answered.status_code == 200, answered.text
    assert set(answered.json()) == top_fields(answer)


def test_the_examples_are_found() -> None:
    assert len(examples()) >= 7
