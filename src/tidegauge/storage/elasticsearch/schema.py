"""Makes the data stream's template at the start, as often as anybody starts."""

from __future__ import annotations

from datetime import timedelta

from elasticsearch import NotFoundError

from tidegauge.storage.elasticsearch.client import Client, failures
from tidegauge.storage.elasticsearch.documents import Stream
from tidegauge.storage.elasticsearch.template import REVISION, template


def template_name(stream: Stream) -> str:
    """A name of our own: nothing of the server's is overwritten."""
    return f"tidegauge-logs-{stream.dataset}-{stream.namespace}"


async def prepare(client: Client, stream: Stream, retention: timedelta) -> None:
    """Check the server and put the template in place; a stream of an older revision goes on to a new backing index.

    Raises:
        ConfigurationError: there is no Elasticsearch, or one that is too old.
        InvalidArgument: it refuses the template.
        Unavailable: it does not answer, or does not let us.

    """
    await client.version()
    with failures("take the template of its data stream"):
        wanted = template(stream.name, retention)
        await client.api.indices.put_index_template(
            name=template_name(stream),
            index_patterns=wanted["index_patterns"],
            data_stream=wanted["data_stream"],
            priority=wanted["priority"],
            meta=wanted["_meta"],
            template=wanted["template"],
        )
        try:
            found = (await client.api.indices.get(index=stream.name, filter_path="*.mappings._meta,*.settings.index.creation_date")).body
        except NotFoundError:
            return
        if found and max(_revision(told) for told in found.values()) < REVISION:
            await client.api.indices.rollover(alias=stream.name)


def _revision(index: dict[str, dict[str, dict[str, int]]]) -> int:
    return int(index.get("mappings", {}).get("_meta", {}).get("revision", 0))
