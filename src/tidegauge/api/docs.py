"""The documentation of the API: the OpenAPI document, and a page of our own that lists it and fetches nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, Response

from tidegauge.api import answers, ingest_document
from tidegauge.api.schemas import Problem

OPENAPI_PATH = "/api/openapi.json"
DOCS_PATH = "/api/docs"
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}"
    "code{font-family:ui-monospace,monospace;font-size:.9em}h3{margin:2rem 0 .25rem}table{border-collapse:collapse;width:100%}"
    "td{border-top:1px solid #d8dee4;padding:.35rem .75rem .35rem 0;vertical-align:top}td:first-child{white-space:nowrap}"
    "@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}td{border-color:#30363d}a{color:#6cb6ff}}"
)


def install(app: FastAPI) -> None:
    """Serve the OpenAPI document and the page."""
    built: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        # Once, when first asked for: by then all routes are there.
        if not built:
            built.update(_document(app))
        return built

    # FastAPI's documented way of extending the document (https://fastapi.tiangolo.com/how-to/extending-openapi/).
    app.openapi = openapi  # type: ignore[method-assign]

    @app.get(OPENAPI_PATH, include_in_schema=False)
    async def get_openapi_document() -> Response:
        return answers.json(openapi())

    @app.get(DOCS_PATH, include_in_schema=False)
    async def get_docs() -> HTMLResponse:
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return HTMLResponse(_page(openapi()), headers=headers)


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    # What FastAPI would answer on its own; here an unreadable parameter is a problem with status 400.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for operation in _operations(document):
        if "HTTPValidationError" in str(operation["responses"].get("422")):
            del operation["responses"]["422"]
    document["paths"].setdefault(ingest_document.PATH, {})["post"] = ingest_document.operation(answers.problems())
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}, {}]
    return document


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _page(document: Mapping[str, Any]) -> str:
    info = document["info"]
    title = f"{escape(info['title'])} API {escape(info['version'])}"
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{title}</title><style>{_STYLE}</style>"
    link = f"<a href='{OPENAPI_PATH}'><code>{OPENAPI_PATH}</code></a> (OpenAPI {escape(document['openapi'])})"
    parts = [f"<!doctype html><html lang=en>{head}<h1>{title}</h1><p>{escape(info['description'])}</p><p>Machine-readable: {link}</p>"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h3 id={escape(operation['operationId'])}><code>{method.upper()} {escape(path)}</code></h3>")
            parts.append(f"<p>{escape(operation.get('description', ''))}</p><table>")
            parts += [_row(parameter) for parameter in operation.get("parameters", ())]
            parts.append("</table>")
    return "".join(parts)


def _row(parameter: Mapping[str, Any]) -> str:
    default = parameter["schema"].get("default")
    shown = f" <small>default {escape(str(default))}</small>" if default not in (None, []) else ""
    return f"<tr><td><code>{escape(parameter['name'])}</code>{shown}<td>{escape(parameter.get('description', ''))}</tr>"
