"""Messages in all the ways that OTLP/JSON allows (OTLP specification, "JSON Protobuf Encoding"; protobuf JSON mapping)."""

from __future__ import annotations

import json
import math
from base64 import b64encode, urlsafe_b64encode
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import Message

_IDS = ("trace_id", "span_id", "parent_span_id")
_WRONG = [True, "zz", 1.5, -1, [], [1], {}, {"a": 1}, 2**70, "", "-", "0x10", "QQ==", " 1"]


class JsonWriter:
    """Writes messages; ``wrong`` is the probability that a scalar is replaced by what may not be one of its field.

    ``no_text`` is the probability that a string has a surrogate alone, as an escape or as bytes.
    """

    def __init__(self, seed: int, *, wrong: float = 0.0, no_text: float = 0.0) -> None:
        self._random = Random(seed)
        self._wrong = wrong
        self._no_text = no_text

    def write(self, message: Message) -> bytes:
        separators = self._random.choice([(",", ":"), (", ", ": ")])
        return json.dumps(self._message(message), ensure_ascii=self._random.random() < 0.5, separators=separators).encode(
            "utf-8", "surrogatepass"
        )

    def _message(self, message: Any) -> dict[str, Any]:
        pairs = [(field.json_name, self._field(field, value)) for field, value in message.ListFields()]
        absent = [field.json_name for field in message.DESCRIPTOR.fields if not _is_sent(message, field)]
        if absent and self._random.random() < 0.1:
            pairs.append((self._random.choice(absent), None))
        if self._random.random() < 0.1:
            pairs.append((self._random.choice(["unknown", "trace_id", "TraceId", ""]), self._random.choice([1, None, {"x": [1]}, "\0"])))
        self._random.shuffle(pairs)
        return dict(pairs)

    def _field(self, field: Any, value: Any) -> Any:
        if field.is_repeated:
            return [self._one(field, element) for element in value]
        return self._one(field, value)

    def _one(self, field: Any, value: Any) -> Any:
        if isinstance(value, Message):
            return self._message(value)
        if self._random.random() < self._wrong:
            return self._random.choice(_WRONG)
        if isinstance(value, bytes):
            return self._identifier(value) if field.name in _IDS else self._base64(value)
        if field.cpp_type == Field.CPPTYPE_DOUBLE:
            return self._double(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return self._integer(field, value)
        if isinstance(value, str) and self._random.random() < self._no_text:
            place = self._random.randint(0, len(value))
            return value[:place] + self._random.choice(["\ud83d", "\ude00", "\\\ud83d", "\ude00\ud83d", "\ud83d\ud83d"]) + value[place:]
        return value

    def _identifier(self, value: bytes) -> str:
        digits = value.hex()
        return self._random.choice([digits, digits.upper(), "".join(self._random.choice([d, d.upper()]) for d in digits)])

    def _base64(self, value: bytes) -> str:
        text = self._random.choice([b64encode, urlsafe_b64encode])(value).decode()
        return text if self._random.random() < 0.5 else text.rstrip("=")

    def _double(self, value: float) -> Any:
        if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        if value.is_integer() and abs(value) < 2**53 and math.copysign(1, value) > 0 and self._random.random() < 0.5:
            return int(value)
        return value if self._random.random() < 0.8 else repr(value)

    def _integer(self, field: Any, value: int) -> Any:
        choices: list[Any] = [value]
        if field.cpp_type != Field.CPPTYPE_ENUM:
            choices.append(str(value))
        if abs(value) < 2**53:
            choices.append(float(value))
        return self._random.choice(choices)


def _is_sent(message: Any, field: Any) -> bool:
    return bool(len(getattr(message, field.name))) if field.is_repeated else any(found is field for found, _ in message.ListFields())
