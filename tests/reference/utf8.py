"""Requests whose strings are not all UTF-8, which official messages refuse to read.

Strings and bytes are alike on the wire: the same messages with bytes in the place of strings ("twins") read everything.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2


@cache
def _twins() -> tuple[DescriptorPool, frozenset[str]]:
    """Descriptors without strings, and the full names of the fields that were strings."""
    pool, strings, copied = DescriptorPool(), set(), set()

    def copy(file: Any) -> None:
        if file.name in copied:
            return
        copied.add(file.name)
        for needed in file.dependencies:
            copy(needed)
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        for message in proto.message_type:
            change(message, f"{proto.package}.{message.name}")
        pool.AddSerializedFile(proto.SerializeToString())

    def change(message: Any, name: str) -> None:
        for nested in message.nested_type:
            change(nested, f"{name}.{nested.name}")
        for field in message.field:
            if field.type == FieldDescriptorProto.TYPE_STRING:
                field.type = FieldDescriptorProto.TYPE_BYTES
                strings.add(f"{name}.{field.name}")

    for module in (trace_service_pb2, metrics_service_pb2, logs_service_pb2):
        copy(module.DESCRIPTOR)
    return pool, frozenset(strings)


def twin_of(type_: Any) -> Any:
    """The type whose strings are bytes."""
    return GetMessageClass(_twins()[0].FindMessageTypeByName(type_.DESCRIPTOR.full_name))


def repair(twin: Any) -> bool:
    """Put U+FFFD in the place of what is not UTF-8, everywhere in a twin; whether anything was not."""
    changed = False
    for field, value in twin.ListFields():
        if field.message_type:
            for nested in value if field.is_repeated else [value]:
                changed |= repair(nested)
        elif field.full_name in _twins()[1]:
            if field.is_repeated:
                readable = [_readable(item) for item in value]
                changed |= readable != list(value)
                value[:] = readable
            else:
                changed |= _readable(value) != value
                setattr(twin, field.name, _readable(value))
    return changed


def _readable(text: bytes) -> bytes:
    return text.decode("utf-8", "replace").encode()


def normal(type_: Any, serialised: bytes) -> bytes:
    """One serialisation for all that say the same: fields in order, nothing unknown. Strings are as they were sent."""
    message = twin_of(type_).FromString(serialised)
    message.DiscardUnknownFields()
    return bytes(message.SerializeToString(deterministic=True))
