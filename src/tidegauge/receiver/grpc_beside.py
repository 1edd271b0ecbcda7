"""What stands beside the Export methods: grpc.health.v1 for load balancers, and reflection for tools such as grpcurl."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection, reflection_pb2  # type: ignore[import-untyped]

from tidegauge.errors import Unauthenticated
from tidegauge.health.readiness import serves
from tidegauge.receiver.grpc_export import SERVICES, refuse
from tidegauge.receiver.grpc_token import Token

Readiness = Callable[[], Awaitable[Mapping[str, str]]]
_HEALTH = "grpc.health.v1.Health"
# grpc.reflection.v1 is v1alpha under another name: the messages are the same.
_REFLECTION = ("grpc.reflection.v1.ServerReflection", reflection.SERVICE_NAME)
_KNOWN_SECONDS = 1.0
_Status = health_pb2.HealthCheckResponse


class Health:
    """grpc.health.v1 (grpc/health/v1/health.proto). Needs no token: load balancers have none.

    Serving is who can store: every service and the server as a whole, ``""``, have the same state.
    """

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._stopping = asyncio.Event()
        self._lock = asyncio.Lock()
        self._state = _Status.UNKNOWN
        self._known_until = 0.0

    def handlers(self) -> grpc.GenericRpcHandler:
        """What a server is given."""
        coded: dict[str, Any] = {
            "request_deserializer": health_pb2.HealthCheckRequest.FromString,
            "response_serializer": _Status.SerializeToString,
        }
        return grpc.method_handlers_generic_handler(
            _HEALTH,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check, **coded),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch, **coded),
            },
        )

    def stop(self) -> None:
        """From now on nothing is served: watchers are told, and their calls end."""
        self._stopping.set()

    async def _check(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        if request.service not in _named():
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return _Status(status=await self._current())

    async def _watch(self, request: Any, _: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        known = request.service in _named()
        told = None
        while True:
            state = await self._current() if known else _Status.SERVICE_UNKNOWN
            if state != told:
                yield _Status(status=state)
                told = state
            if self._stopping.is_set():
                return
            try:
                async with asyncio.timeout(_KNOWN_SECONDS):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def _current(self) -> int:
        """The state, asked for at most once a second however many ask."""
        async with self._lock:
            clock = asyncio.get_running_loop().time
            if not self._stopping.is_set() and clock() >= self._known_until:
                checks = await self._readiness()
                self._state = _Status.SERVING if serves(checks) else _Status.NOT_SERVING
                self._known_until = clock() + _KNOWN_SECONDS
        return int(_Status.NOT_SERVING if self._stopping.is_set() else self._state)


def _named() -> frozenset[str]:
    return frozenset(("", *SERVICES))


def reflection_handlers(token: Token) -> list[grpc.GenericRpcHandler]:
    """Reflection (grpc/reflection/v1/reflection.proto), v1 and v1alpha; asks for the token as everything but health does."""
    servicer = reflection.aio.ReflectionServicer((*SERVICES, _HEALTH, *_REFLECTION))

    async def info(requests: AsyncIterator[Any], context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        try:
            token.check(context.invocation_metadata())
        except Unauthenticated as error:
            await refuse(context, error)
        async for answer in servicer.ServerReflectionInfo(requests, context):
            yield answer

    handler = grpc.stream_stream_rpc_method_handler(
        info,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return [grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler}) for name in _REFLECTION]
