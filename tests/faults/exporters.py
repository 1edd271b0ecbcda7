"""Exporters that send a request's very bytes again until they are told what became of them, and the book of what they were told."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.clients import Answer, Client, Refused, TryAgain
from tests.faults.payload import NUMBERS, SIGNALS, Request, build

_REMEMBERED = 50
# How often, of all requests: the same bytes twice at the same moment; hung up on, then sent; sent again long after its acknowledgement.
_TWICE, _HUNG_UP, _LATE = 0.05, 0.05, 0.05
# How often, of all failures: never tried again.
_ABANDONED = 0.01


@dataclass
class Book:
    """What all exporters did. ``faults`` are answers that no correct server gives."""

    requests: list[Request] = field(default_factory=list)
    retries: Counter[str] = field(default_factory=Counter)
    moods: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    longest_outage: float = 0.0
    _last: float = field(default_factory=time.monotonic)
    _acknowledged: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def join(self, exporter: int) -> None:
        """An exporter that :meth:`progress` is to tell of, from now on."""
        with self._lock:
            self._acknowledged[exporter] = 0

    def sent(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def acknowledged(self, request: Request) -> None:
        with self._lock:
            request.acknowledged = True
            self._acknowledged[request.exporter] += 1
            now = time.monotonic()
            self.longest_outage = max(self.longest_outage, now - self._last)
            self._last = now

    def retried(self, why: str) -> None:
        with self._lock:
            self.retries[why] += 1

    def behaved(self, mood: str) -> None:
        with self._lock:
            self.moods[mood] += 1

    def fault(self, what: str) -> None:
        with self._lock:
            self.faults.append(f"{time.strftime('%H:%M:%S')} {what}")

    def progress(self) -> dict[int, int]:
        """Acknowledged requests by exporter."""
        with self._lock:
            return dict(self._acknowledged)


class Exporter(threading.Thread):
    """One exporter. ``connect`` makes a client of its kind; ``pause_seconds`` lies between requests, on average."""

    def __init__(
        self, number: int, connect: Callable[[], Client], book: Book, chance: random.Random, *, as_json: bool, pause_seconds: float
    ) -> None:
        super().__init__(name=f"exporter-{number}", daemon=True)
        self._number = number
        self._connect = connect
        self._book = book
        self._chance = chance
        self._as_json = as_json
        self._pause_seconds = pause_seconds
        self._next = dict.fromkeys(SIGNALS, number * NUMBERS)
        self._told: deque[tuple[Request, Answer]] = deque(maxlen=_REMEMBERED)
        self._finish = threading.Event()
        self._give_up_at = float("inf")
        book.join(number)

    def finish(self, give_up_seconds: float) -> None:
        """Send nothing new; what is under way has that long to be acknowledged."""
        self._give_up_at = time.monotonic() + give_up_seconds
        self._finish.set()

    def run(self) -> None:
        client, sequence = self._connect(), 0
        while not self._finish.is_set() and not self._book.faults:
            signal = SIGNALS[sequence % len(SIGNALS)]
            request = build(self._chance, self._number, sequence, self._next[signal], as_json=self._as_json)
            self._next[signal] += request.count
            sequence += 1
            self._book.sent(request)
            self._export(client, request)
            self._finish.wait(self._chance.uniform(0, 2 * self._pause_seconds))
        client.close()

    def _export(self, client: Client, request: Request) -> None:
        mood = self._chance.random()
        if mood < _TWICE:
            self._book.behaved("twice at once")
            self._deliver_twice(client, request)
        else:
            if mood > 1 - _HUNG_UP:
                self._book.behaved("hung up")
                client.hang_up(request)
            self._deliver(client, request)
        if self._told and self._chance.random() < _LATE:
            self._book.behaved("late resend")
            old, answer = self._chance.choice(self._told)
            self._expect(old, self._deliver(client, old), answer)

    def _deliver_twice(self, client: Client, request: Request) -> None:
        answers: list[Answer | None] = []
        both = threading.Barrier(2)

        def deliver(by: Client) -> None:
            both.wait()
            answers.append(self._deliver(by, request))

        second = self._connect()
        thread = threading.Thread(target=deliver, args=(second,), daemon=True)
        thread.start()
        deliver(client)
        thread.join()
        second.close()
        if answers[1] is not None:
            self._expect(request, answers[0], answers[1])

    def _deliver(self, client: Client, request: Request) -> Answer | None:
        """Send until acknowledged; None where that was given up."""
        while True:
            try:
                answer = client.send(request)
            except TryAgain as failure:
                self._book.retried(failure.why)
                if self._chance.random() < _ABANDONED:
                    self._book.behaved("abandoned")
                    return None
                if time.monotonic() > self._give_up_at:
                    self._book.fault(f"{self.name}: still not acknowledged at the end: {failure.why}")
                    return None
                time.sleep(self._chance.uniform(0.02, 0.4))
            except Refused as failure:
                self._book.fault(f"{self.name}: {failure}")
                return None
            else:
                self._note(request, answer)
                return answer

    def _note(self, request: Request, answer: Answer) -> None:
        if answer.rejected != request.bad or bool(answer.message) != bool(request.bad):
            self._book.fault(f"{self.name}: {request.signal} {request.numbers}: {answer} where {request.bad} are bad")
        if not request.acknowledged:
            self._book.acknowledged(request)
            self._told.append((request, answer))

    def _expect(self, request: Request, answer: Answer | None, before: Answer) -> None:
        if answer is not None and answer != before:
            self._book.fault(f"{self.name}: {request.signal} {request.numbers}: {before}, for the same bytes again {answer}")
