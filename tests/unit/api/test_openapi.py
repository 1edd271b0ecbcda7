"""The documentation of the API."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator


@pytest.fixture
async def document(client: httpx.AsyncClient) -> Any:
    return (await client.get("/api/openapi.json")).json()


async def test_every_operation_says_what_it_does(document: Any) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations) >= 12
    tags = {tag["name"] for tag in document["tags"]}
    for operation in operations:
        assert operation["description"]
        assert set(operation["tags"]) <= tags
        # What FastAPI adds by itself; ours is a problem document.
        assert "HTTPValidationError" not in str(operation["responses"])
        content = operation["responses"]["200"]["content"]
        if operation["operationId"] == "run_sql":
            assert {"application/json", "text/csv", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"} == set(content)
        else:
            assert list(content) == ["text/event-stream" if operation["operationId"] == "tail_logs" else "application/json"]
        assert all(each["schema"] for each in content.values())
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], parameter


async def test_every_reference_leads_somewhere_and_schemas_are_schemas(document: Any) -> None:
    references = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(document)))
    assert "Problem" in references
    assert references <= set(document["components"]["schemas"])
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_the_page_lists_every_endpoint_and_fetches_nothing(client: httpx.AsyncClient, document: Any) -> None:
    answer = await client.get("/api/docs")
    assert answer.headers["content-type"].startswith("text/html")
    for path in document["paths"]:
        assert path in answer.text
    assert not re.search(r"https?://|<script|<link|<img", answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
