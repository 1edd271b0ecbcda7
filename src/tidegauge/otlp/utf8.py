"""Requests whose strings are not all UTF-8, as senders in languages without a string type make them.

protobuf refuses such a message whole. Strings and bytes are alike on the wire, so a twin of the message type that has bytes for strings
reads it; what is not UTF-8 is replaced by U+FFFD there, and the message itself can then be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

Request = TypeVar("Request", bound=Message)


class Repair(Generic[Request]):
    """Reads messages of a type, and replaces what is not UTF-8. Making one copies the descriptors of its files."""

    def __init__(self, type_: type[Request]) -> None:
        self._type = type_
        self._strings: set[tuple[str, str]] = set()
        pool = DescriptorPool()
        self._copy(type_.DESCRIPTOR.file, pool)
        self._twin = GetMessageClass(pool.FindMessageTypeByName(type_.DESCRIPTOR.full_name))

    def read(self, body: bytes) -> tuple[Request, list[bytes | None]]:
        """The message, and of each message three lists deep in it (an item of a request) what was sent if it was changed, else None.

        Raises:
            DecodeError: it is malformed otherwise too.

        """
        twin = self._twin.FromString(body)
        sent: list[bytes | None] = []
        for item in _nested(twin, 3):
            before = item.SerializeToString()
            sent.append(before if self._replace(item) else None)
        self._replace(twin)
        return self._type.FromString(twin.SerializeToString()), sent

    def _copy(self, file: Any, pool: DescriptorPool) -> None:
        """Add a file's twin to a pool, after those it needs. The same again changes nothing."""
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        for needed in file.dependencies:
            self._copy(needed, pool)
        for message in [*proto.message_type, *(nested for outer in proto.message_type for nested in outer.nested_type)]:
            for field in message.field:
                if field.type == FieldDescriptorProto.TYPE_STRING:
                    field.type = FieldDescriptorProto.TYPE_BYTES
                    self._strings.add((message.name, field.name))
        pool.AddSerializedFile(proto.SerializeToString())

    def _replace(self, message: Any) -> bool:
        """Replace what is not UTF-8 in a twin and all in it; whether anything was."""
        changed = False
        for field, value in message.ListFields():
            if field.message_type:
                for nested in value if field.is_repeated else [value]:
                    changed |= self._replace(nested)
            elif (message.DESCRIPTOR.name, field.name) in self._strings:
                before = list(value) if field.is_repeated else value
                if not field.is_repeated:
                    setattr(message, field.name, _text(value))
                else:
                    value[:] = map(_text, value)
                changed |= getattr(message, field.name) != before
        return changed


def _text(value: bytes) -> bytes:
    return value.decode("utf-8", "replace").encode()


def _nested(message: Any, depth: int) -> Iterator[Any]:
    """The messages in the repeated fields of a message, so many levels down."""
    if not depth:
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type and field.is_repeated:
            for nested in value:
                yield from _nested(nested, depth - 1)
