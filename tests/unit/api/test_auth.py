"""API tokens."""

from __future__ import annotations

import httpx
import pytest

from tests.unit.api.conftest import Stores, client_of
from tidegauge.api.auth import BearerAuth
from tidegauge.errors import Unauthenticated

TOKEN = "correct-horse-battery"


@pytest.fixture
def guarded(stores: Stores) -> httpx.AsyncClient:
    return client_of(stores, token=TOKEN)


async def test_the_right_token_lets_in(guarded: httpx.AsyncClient) -> None:
    for scheme in ("Bearer", "bearer"):
        answer = await guarded.get("/api/v1/applications", headers={"Authorization": f"{scheme} {TOKEN}"})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"]
)
async def test_anything_else_does_not(guarded: httpx.AsyncClient, header: str | None) -> None:
    for path in ("/api/v1/applications", "/api/docs", "/api/openapi.json", "/api/v1/nothing", "/api/health/live/"):
        answer = await guarded.get(path, headers={} if header is None else {"Authorization": header})
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer realm=")
        assert answer.json()["title"] == "Unauthenticated"


async def test_two_authorization_headers_are_refused(guarded: httpx.AsyncClient) -> None:
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer wrong")]
    assert (await guarded.get("/api/v1/applications", headers=headers)).status_code == 401


async def test_health_needs_no_token(guarded: httpx.AsyncClient) -> None:
    assert (await guarded.get("/api/health/live")).status_code == 200
    assert (await guarded.get("/api/health/ready")).status_code == 200


async def test_another_application_refuses_in_its_own_way() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("was let through")

    def refuse(error: Unauthenticated, scope: object) -> tuple[str, bytes]:
        return "text/plain", error.message.encode()

    transport = httpx.ASGITransport(app=BearerAuth(app, TOKEN, refuse))
    async with httpx.AsyncClient(transport=transport, base_url="http://tidegauge") as client:
        answer = await client.post("/v1/traces", content=b"x")
    assert (answer.status_code, answer.text) == (401, "no API token was sent")
