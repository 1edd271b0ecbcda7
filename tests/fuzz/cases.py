"""One input: a request over HTTP or gRPC. As a file it looks like the request."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
GRPC = "GRPC"


class Wrong(Exception):
    """An answer that no request should get."""


@dataclass(frozen=True, slots=True)
class Case:
    """A request. ``method`` GRPC has a signal's name as its path. The body comes in ``chunks`` parts, and whole unless ``gone``."""

    method: bytes
    path: bytes
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())
    body: bytes = b""
    chunks: int = 1
    gone: bool = False

    def to_bytes(self) -> bytes:
        """As a file's content."""
        first = b" ".join([self.method, self.path, str(self.chunks).encode(), b"gone" if self.gone else b"whole"])
        return b"\n".join([first, *(b"%b: %b" % pair for pair in self.headers), b"", self.body])

    @classmethod
    def from_bytes(cls, raw: bytes) -> Case:
        """From a file's content."""
        head, _, body = raw.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        method, path, chunks, gone = first.split(b" ")
        headers = tuple((name, value) for name, _, value in (line.partition(b": ") for line in lines))
        return cls(method, path, headers, body, int(chunks), gone == b"gone")


def corpus(folder: Path = CORPUS) -> list[Case]:
    """All cases of a folder, in the order of their names."""
    return [Case.from_bytes(path.read_bytes()) for path in sorted(folder.rglob("*.request"))]
