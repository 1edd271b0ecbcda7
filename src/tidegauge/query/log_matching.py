"""Whether a record that is not in a store matches a filter: the same conditions that stores search by, but for time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tidegauge.model import text_search
from tidegauge.model.query import CORRELATION_KEYS, AttributeFilter, LogFilter, searched_part
from tidegauge.model.records import StoredLog

Condition = Callable[[StoredLog], bool]


class Matcher:
    """A filter, made ready: what is cheap to ask is asked first."""

    def __init__(self, wanted: LogFilter) -> None:
        self._conditions = list(_conditions(wanted))

    def __call__(self, record: StoredLog) -> bool:
        """Whether all conditions hold."""
        return all(condition(record) for condition in self._conditions)


def _conditions(wanted: LogFilter) -> list[Condition]:
    found: list[Condition] = []
    lowest, highest, text = wanted.min_severity, wanted.max_severity, wanted.text
    if lowest is not None:
        found.append(lambda record: record.severity_number >= lowest)
    if highest is not None:
        found.append(lambda record: record.severity_number <= highest)
    if wanted.service is not None:
        found.append(lambda record: record.resource.application.name == wanted.service)
    if wanted.trace_id is not None:
        found.append(lambda record: record.trace_id == wanted.trace_id)
    if wanted.span_id is not None:
        found.append(lambda record: record.span_id == wanted.span_id)
    if wanted.correlation_id is not None:
        correlation = (searched_part(wanted.correlation_id),)
        found.append(lambda record: any(_equals(_attributes(record), key, correlation) for key in CORRELATION_KEYS))
    found += [_attribute(each) for each in wanted.attributes]
    if text is not None:
        matches = text_search.parse(text).matches
        found.append(lambda record: matches(record.body or ""))
    return found


def _attribute(wanted: AttributeFilter) -> Condition:
    if not wanted.values:
        return lambda record: wanted.name in _attributes(record)
    values = tuple([searched_part(value) if isinstance(value, str) else value for value in wanted.values])
    return lambda record: _equals(_attributes(record), wanted.name, values)


def _attributes(record: StoredLog) -> Mapping[str, object]:
    return record.attributes if isinstance(record.attributes, dict) else {}


def _equals(attributes: Mapping[str, object], key: str, values: tuple[bool | int | float | str, ...]) -> bool:
    """Equal as JSON: ``1`` is ``1.0``, but neither ``true`` nor ``"1"``."""
    found = attributes.get(key)
    if isinstance(found, str):
        found = searched_part(found)
    return any(found == value and isinstance(found, bool) is isinstance(value, bool) for value in values)
