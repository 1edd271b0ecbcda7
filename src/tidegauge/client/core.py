"""The client without I/O: what is sent, what an answer means, when to try again. The two clients only carry it out."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from tidegauge.client.errors import ApiError, ConnectionFailed, Overloaded, UnexpectedAnswer, of_answer

T = TypeVar("T")
Parameters = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request, its path below the server's address. Every one may be sent again: none changes anything."""

    method: str
    path: str
    parameters: Parameters = ()
    document: Mapping[str, Any] | None = None
    accept: str = "application/json"


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer; ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The document.

        Raises:
            UnexpectedAnswer: it is none.

        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise UnexpectedAnswer(f"the answer is no JSON: {self.body[:200].decode(errors='replace')!r}") from error


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A question: its request, and how the answer is read. Made by :mod:`tidegauge.client.queries`, run by a client.

    ``cursor`` finds in a page where the next begins, None at the end; a call without it has one page.
    """

    request: Request
    parse: Callable[[Response], T]
    cursor: Callable[[T], str | None] = field(default=lambda _: None)

    def next(self, page: T) -> Call[T] | None:
        """The call of the page behind this one; None at the end."""
        cursor = self.cursor(page)
        if cursor is None:
            return None
        others = tuple(each for each in self.request.parameters if each[0] != "cursor")
        return replace(self, request=replace(self.request, parameters=(*others, ("cursor", cursor))))


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a question is asked again after 429, 503 and broken connections, and how long at most is waited in between, in seconds."""

    attempts: int = 4
    longest_pause: float = 30.0


@dataclass(frozen=True, slots=True)
class Send:
    """Send this and come back with the Response, or throw ConnectionFailed in."""

    request: Request


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The end."""

    answer: T


Exchange = Generator[Send | Sleep | Done[T], Response | None, None]


def exchange(call: Call[T], retries: Retries) -> Exchange[T]:
    """The steps of a call, to be carried out one by one until it is :class:`Done`.

    Raises:
        ApiError: the server refused.
        ConnectionFailed: it did not answer.
        UnexpectedAnswer: what answered is not Tidegauge.

    """
    for attempt in range(1, retries.attempts + 1):
        try:
            response = yield Send(call.request)
            assert response is not None
            answer = _read(call, response)
        except (ConnectionFailed, Overloaded) as error:
            asked = error.retry_after if isinstance(error, ApiError) else None
            pause = 0.25 * 2.0**attempt if asked is None else asked
            # What says that it will take longer than anybody here waits is not waited for.
            if attempt == retries.attempts or pause > retries.longest_pause:
                raise
        else:
            yield Done(answer)
            return
        yield Sleep(pause)
    raise ValueError("retries.attempts has to be 1 or more")


def _read(call: Call[T], response: Response) -> T:
    media_type = response.headers.get("content-type", "")
    if response.status >= 300:
        raise of_answer(response.status, media_type, response.body, response.headers.get("retry-after"))
    try:
        return call.parse(response)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnexpectedAnswer(f"{call.request.method} {call.request.path}: the answer is not of the form expected ({error!r})") from error
