"""OTLP/HTTP: headers, paths, methods, connections."""

from __future__ import annotations

import gzip
import secrets
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conformance.conftest import JSON, PROTOBUF, RESPONSES, Answer, Http, read_answer
from tests.conformance.items import SIGNALS, request, stored
from tests.servers.product import Product


def only_headers_of_a_final_refusal(answer: Answer) -> None:
    assert not answer.is_retryable
    assert answer.headers is not None
    assert "retry-after" not in answer.headers
    assert answer.status is not None
    assert answer.status.message


@pytest.mark.parametrize(
    "media_type",
    [
        "application/x-protobuf",
        "application/x-protobuf; charset=utf-8",
        "Application/X-Protobuf",
        "application/x-protobuf;v=1;encoding=delimited",
    ],
)
async def test_protobuf_with_parameters_is_answered_in_protobuf(product: Product, protobuf: Http, media_type: str) -> None:
    mark = secrets.token_bytes(16)
    answer = await protobuf.send("traces", request("traces", mark).SerializeToString(), content_type=media_type)
    assert answer.code == 200
    assert answer.headers is not None
    assert answer.headers["content-type"] == PROTOBUF
    assert await stored(product, "traces", mark) == 1
    refused = await protobuf.send("traces", b"\x0a\x10{", content_type=media_type)
    assert (refused.code, refused.headers and refused.headers["content-type"]) == (400, PROTOBUF)


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", 'application/json;charset="UTF-8"']
)
async def test_json_with_parameters_is_answered_in_json(product: Product, as_json: Http, media_type: str) -> None:
    mark = secrets.token_bytes(16)
    answer = await as_json.send("logs", as_json.encoded(request("logs", mark)), content_type=media_type)
    assert answer.code == 200
    assert answer.headers is not None
    assert answer.headers["content-type"] == JSON
    assert await stored(product, "logs", mark) == 1
    refused = await as_json.send("logs", b"{", content_type=media_type)
    assert (refused.code, refused.headers and refused.headers["content-type"]) == (400, JSON)


@pytest.mark.parametrize("media_type", ["text/plain", "application/grpc", "application/x-www-form-urlencoded", ""])
async def test_another_media_type_is_415(as_json: Http, media_type: str) -> None:
    answer = await as_json.send("traces", b"{}", content_type=media_type)
    assert answer.code == 415
    only_headers_of_a_final_refusal(answer)


@pytest.mark.parametrize("name", ["protobuf", "as_json"])
@pytest.mark.parametrize("coding", ["zstd", "br", "deflate", "gzip, gzip"])
async def test_another_compression_is_415_in_the_encoding_of_the_request(request: pytest.FixtureRequest, name: str, coding: str) -> None:
    way: Http = request.getfixturevalue(name)
    answer = await way.send("traces", b"x", content_encoding=coding)
    assert answer.code == 415
    assert answer.headers is not None
    assert answer.headers["content-type"] == way.media_type
    only_headers_of_a_final_refusal(answer)


@pytest.mark.parametrize("coding", ["identity", "none", "", "GZIP", "x-gzip"])
async def test_names_of_compressions(product: Product, protobuf: Http, coding: str) -> None:
    mark = secrets.token_bytes(16)
    body = request("traces", mark).SerializeToString()
    answer = await protobuf.send("traces", gzip.compress(body) if "gzip" in coding.lower() else body, content_encoding=coding)
    assert answer.code == 200
    assert await stored(product, "traces", mark) == 1


@pytest.mark.parametrize("name", ["protobuf", "as_json"])
async def test_another_path_is_404_and_another_method_405(request: pytest.FixtureRequest, product: Product, name: str) -> None:
    way: Http = request.getfixturevalue(name)
    for path in ("spans", "traces/", "Traces", "traces/v1"):
        answer = await way.send(path, way.encoded(RESPONSES["traces"]()))
        assert answer.code == 404
        only_headers_of_a_final_refusal(answer)
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        got = await way.client.request(method, "/v1/traces", headers={"content-type": way.media_type})
        assert (got.status_code, got.headers["allow"]) == (405, "POST")
        only_headers_of_a_final_refusal(read_answer(got, None))


async def test_one_connection_carries_requests_of_both_encodings_and_outlives_refusals(product: Product) -> None:
    marks = {signal: secrets.token_bytes(16) for signal in SIGNALS}
    limits = httpx.Limits(max_connections=1)
    connections: set[object] = set()
    async with httpx.AsyncClient(base_url=product.otlp_url, timeout=30, limits=limits) as client:
        for round_number in range(3):
            for signal, mark in marks.items():
                for media_type in (PROTOBUF, JSON):
                    way = Http(client, media_type)
                    got = await client.post(
                        f"/v1/{signal}", content=way.encoded(request(signal, mark)), headers={"content-type": media_type}
                    )
                    assert (got.status_code, got.http_version) == (200, "HTTP/1.1")
                    connections.add(got.extensions["network_stream"].get_extra_info("client_addr"))
                    refused = await client.post(
                        f"/v1/{signal}", content=b"\xff" * (1 + round_number * 100_000), headers={"content-type": media_type}
                    )
                    assert refused.status_code == 400
                    connections.add(refused.extensions["network_stream"].get_extra_info("client_addr"))
    assert len(connections) == 1
    assert [await stored(product, signal, mark) for signal, mark in marks.items()] == [6, 6, 6]


async def test_a_body_may_come_in_chunks_of_unknown_number(product: Product, protobuf: Http) -> None:
    mark = secrets.token_bytes(16)
    body = request("traces", mark, good=50).SerializeToString()

    async def pieces() -> object:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    got = await protobuf.client.post("/v1/traces", content=pieces(), headers={"content-type": PROTOBUF})  # type: ignore[arg-type]
    assert got.status_code == 200
    assert await stored(product, "traces", mark) == 50


async def test_a_client_may_wait_for_100_continue(product: Product) -> None:
    """RFC 9110, section 10.1.1: libraries send this with large bodies."""
    mark = secrets.token_bytes(16)
    body = request("logs", mark).SerializeToString()
    address = urlsplit(product.otlp_url)
    head = (
        f"POST /v1/logs HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: {PROTOBUF}\r\nContent-Length: {len(body)}\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=10) as client:
        client.sendall(head.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(body)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert await stored(product, "logs", mark) == 1


async def test_an_answer_is_not_compressed_for_who_does_not_ask(protobuf: Http) -> None:
    answer = await protobuf.export("traces", request("traces", secrets.token_bytes(16), bad=1), zipped=True)
    assert answer.headers is not None
    assert "content-encoding" not in answer.headers


async def test_the_port_of_the_api_takes_otlp_too(product: Product) -> None:
    mark = secrets.token_bytes(16)
    async with product.api() as client:
        assert (await Http(client, PROTOBUF).export("traces", request("traces", mark))).code == 200
    assert await stored(product, "traces", mark) == 1
