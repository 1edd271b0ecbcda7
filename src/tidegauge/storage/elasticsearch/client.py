"""Connections to Elasticsearch, and its failures in the words of the error tree."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
from elastic_transport import ApiError as TransportApiError
from elastic_transport import ConnectionTimeout, SerializationError, TransportError
from elasticsearch import ApiError, AsyncElasticsearch, UnsupportedProductError
from elasticsearch.serializer import OrjsonSerializer

from tidegauge.config import LogsSettings
from tidegauge.errors import ConfigurationError, InvalidArgument, Overloaded, TidegaugeError, Unavailable
from tidegauge.storage.elasticsearch.correlated import CorrelatedTransport

MINIMUM_VERSION = (8, 19)
_JSON = ("application/json", "application/vnd.elasticsearch+json")
_HINT = "is TIDEGAUGE_LOGS_ELASTICSEARCH_URL right, and does it run?"
_CREDENTIALS = "check the user and password in TIDEGAUGE_LOGS_ELASTICSEARCH_URL, or TIDEGAUGE_LOGS_ELASTICSEARCH_API_KEY"
_BUSY_SECONDS = 2.0
# Told with 400 as well: an index that is closed, no room for its shards (cluster.max_shards_per_node), somebody else made it just now.
_STATES = frozenset({"index_closed_exception", "validation_exception", "resource_already_exists_exception"})
_BULK_HEADERS = {
    "accept": "application/vnd.elasticsearch+json; compatible-with=8",
    "content-type": "application/vnd.elasticsearch+x-ndjson; compatible-with=8",
}


class Client:
    """The official client, as far as a log store needs it; every failure is one of the error tree.

    Args:
        settings: addresses, credentials, limits.

    """

    def __init__(self, settings: LogsSettings) -> None:
        if settings.elasticsearch_url is None:
            raise ConfigurationError("TIDEGAUGE_LOGS_ELASTICSEARCH_URL is not set")
        nodes = settings.elasticsearch_url.get_secret_value().split(",")
        key, ca_file = settings.elasticsearch_api_key, settings.elasticsearch_ca_file
        options: dict[str, Any] = {}
        if key is not None:
            options["api_key"] = key.get_secret_value()
        if ca_file is not None:
            options["ca_certs"] = str(ca_file)
        try:
            self._client = AsyncElasticsearch(
                [_with_port(node) for node in nodes],
                request_timeout=settings.elasticsearch_timeout.total_seconds(),
                connections_per_node=settings.elasticsearch_connections,
                # Another node at once; the same one not: who asks decides that.
                max_retries=len(nodes) - 1,
                retry_on_timeout=False,
                retry_on_status=(),
                serializers={kind: _Serializer() for kind in _JSON},
                transport_class=CorrelatedTransport,
                **options,
            )
        except ValueError:
            # Not what the client says: that is the address with its password.
            raise ConfigurationError(
                "TIDEGAUGE_LOGS_ELASTICSEARCH_URL cannot be read, or does not go with the other settings of Elasticsearch",
                hint="expected http(s)://user:password@host:port or an API key; in a password / is %2F, # is %23, @ is %40",
            ) from None

    @property
    def api(self) -> AsyncElasticsearch:
        """The client itself; to be called within :func:`failures`."""
        return self._client

    async def ping(self) -> None:
        """Returns if the cluster can answer.

        Raises:
            Unavailable: it cannot.

        """
        await self.version()

    async def version(self) -> tuple[int, int]:
        """Major and minor.

        Raises:
            ConfigurationError: what answers is no Elasticsearch, or one that is too old.
            Unavailable: nothing answers, or it refuses our credentials.

        """
        with failures("ask for its version"):
            try:
                told = (await self._client.info()).body
            except UnsupportedProductError as error:
                raise ConfigurationError("what answers there is no Elasticsearch", hint=_HINT) from error
        text = str(told.get("version", {}).get("number", ""))
        try:
            major, minor = (int(part) for part in text.split(".")[:2])
        except ValueError:
            raise ConfigurationError(f"what answers there is no Elasticsearch: version {text!r}", hint=_HINT) from None
        if (major, minor) < MINIMUM_VERSION:
            raise ConfigurationError(f"Elasticsearch {text} is too old", hint="8.19 or 9.x is needed")
        return major, minor

    async def bulk(self, index: str, body: bytes, answer: str, *, into_stream: bool = True) -> Mapping[str, Any]:
        """Send the lines of a bulk request; ``answer`` names the fields of the answer that are wanted.

        ``into_stream``: the index is a data stream. Where neither the stream nor its template is there, Elasticsearch would else make an
        index of its own shape.
        """
        asked = {"filter_path": answer, **({"require_data_stream": "true"} if into_stream else {})}
        with failures("store"):
            found = await self._client.perform_request("POST", f"/{index}/_bulk", params=asked, headers=_BULK_HEADERS, body=body)
        return _object(found.body)

    async def search(self, index: str, **body: Any) -> Mapping[str, Any]:
        """Search; an index that is not there holds nothing."""
        with failures("search"):
            found = await self._client.search(
                index=index, ignore_unavailable=True, allow_no_indices=True, allow_partial_search_results=False, **body
            )
        return _object(found.body)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()


@asynccontextmanager
async def connected(settings: LogsSettings) -> AsyncIterator[Client]:
    """A client while the block runs."""
    client = Client(settings)
    try:
        yield client
    finally:
        await client.close()


class _Serializer(OrjsonSerializer):
    def loads(self, data: bytes) -> Any:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise SerializationError(f"an answer that is no JSON: {error}", errors=(error,)) from error


def _object(body: Any) -> Mapping[str, Any]:
    """An answer's body; raises Unavailable where it is that of somebody in between."""
    if not isinstance(body, dict):
        raise Unavailable(f"what answers there is no Elasticsearch: {str(body)[:100]!r}", hint=_HINT)
    return body


def _with_port(node: str) -> str:
    """An address with its port: the client wants it said."""
    scheme, _, rest = node.partition("://")
    place = rest.rstrip("/").rpartition("@")[2].partition("/")[0]
    if place.rpartition("]")[2].partition(":")[2]:
        return node
    return f"{scheme}://{rest.rstrip('/')}:{443 if scheme == 'https' else 9200}"


@contextmanager
def failures(what: str) -> Iterator[None]:
    """Turn the client's errors into ours; ``what`` was asked of it.

    Raises:
        Overloaded: it has too much to do.
        Unavailable: it does not answer, refuses our credentials or cannot at the moment.
        InvalidArgument: it cannot do what was asked.

    """
    try:
        yield
    except UnsupportedProductError as error:
        raise Unavailable("what answers there is no Elasticsearch", hint=_HINT) from error
    except (ApiError, TransportApiError) as error:
        raise _told(error.meta.status, error.body, what) from error
    except ConnectionTimeout as error:
        raise Unavailable(f"Elasticsearch did not {what} in time", hint=_HINT) from error
    except TransportError as error:
        raise Unavailable("Elasticsearch does not answer", hint=f"{error.message}; {_HINT}") from error


def _told(status: int, body: Any, what: str) -> TidegaugeError:
    told = reason(body)
    if status in (401, 403):
        return Unavailable(f"Elasticsearch does not let us {what}", hint=f"{told}; {_CREDENTIALS}", retry_after_seconds=10)
    if status == 429:
        return Overloaded(f"Elasticsearch is too busy to {what}: {told}", retry_after_seconds=_BUSY_SECONDS)
    # Anything else that is not its own 400, a proxy's page for example, says nothing about what was sent.
    if status == 413 or (status == 400 and isinstance(body, dict) and not is_the_servers(body)):
        return InvalidArgument(f"Elasticsearch cannot {what}: {told}")
    return Unavailable(f"Elasticsearch cannot {what}: {told}")


def is_the_servers(body: Any) -> bool:
    """Whether an error that says 400 is about the server's state, which may change, and not about what was sent."""
    error = body.get("error") if isinstance(body, dict) else None
    return isinstance(error, dict) and error.get("type") in _STATES


def reason(body: Any) -> str:
    """What an error of Elasticsearch says, with the cause that tells most."""
    if not isinstance(body, dict):
        return str(body)[:300]
    error = body.get("error", body)
    if not isinstance(error, dict):
        return str(error)[:300]
    said = str(error.get("reason") or error.get("type") or "no reason given")
    cause = error.get("caused_by")
    while isinstance(cause, dict):
        if cause.get("reason"):
            said = f"{said}: {cause['reason']}"
        cause = cause.get("caused_by")
    return said[:600]
