"""What spans, logs and their resources and scopes share in an answer: each resource and scope stands once and is referred to by index."""

from __future__ import annotations

from tidegauge.api import formats
from tidegauge.api.formats import AttributesForm, Json
from tidegauge.model.records import Application, Resource, Scope


class Shared:
    """Collects the resources and scopes of an answer."""

    def __init__(self, form: AttributesForm) -> None:
        self.resources: list[Json] = []
        self.scopes: list[Json] = []
        self._form = form
        # Keyed by id(); the record beside the index keeps the id from being taken by another.
        self._places: dict[int, tuple[object, int]] = {}

    def resource(self, record: Resource, application: Application) -> int:
        """The resource's index."""
        if id(record) not in self._places:
            self._places[id(record)] = (record, len(self.resources))
            origin: Json = {
                # 0 is that of a log record in a store that does not know its number.
                "application_id": application.application_id or None,
                "namespace": application.namespace,
                "service": application.name,
                "environment": application.environment,
            }
            self.resources.append(origin | formats.resource(record, self._form))
        return self._places[id(record)][1]

    def scope(self, record: Scope) -> int:
        """The scope's index."""
        if id(record) not in self._places:
            self._places[id(record)] = (record, len(self.scopes))
            self.scopes.append(formats.scope(record, self._form))
        return self._places[id(record)][1]
