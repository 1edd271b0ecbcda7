"""What differs between databases, by name and with its reason. No other module asks which database it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the database at hand can do. Made once, by :func:`from_facts` or, for a database that we start, :func:`embedded`.

    Attributes:
        has_background_workers: TimescaleDB runs its jobs itself. WebAssembly has no processes: there our scheduler calls run_job().
        has_statement_timeout: statement_timeout, lock_timeout and cancel requests work. Without signals they are ignored; a
            statement over its limit is ended by ending its process.
        has_advisory_locks: locks belong to a client. Where all clients share one session, every client holds every advisory lock;
            transactions are serialised there anyway.
        direct_compress: COPY can write compressed batches (timescaledb.enable_direct_compress_copy, 2.21 and newer). Where all
            clients share one session and chunks are small it gains nothing and is left off.
        parallel_writers: several transactions proceed at once, so that more than one writing connection pays.
        has_lz4: TOAST can use lz4, which reads 2.7 times faster than pglz.
        has_roles: a role is a boundary between clients. In one shared superuser session it is not; there statements are parsed.

    """

    has_background_workers: bool
    has_statement_timeout: bool
    has_advisory_locks: bool
    direct_compress: bool
    parallel_writers: bool
    has_lz4: bool
    has_roles: bool


def embedded() -> Capabilities:
    """Those of the embedded database."""
    return Capabilities(
        has_background_workers=False,
        has_statement_timeout=False,
        has_advisory_locks=False,
        direct_compress=False,
        parallel_writers=False,
        has_lz4=False,
        has_roles=False,
    )


def from_facts(facts: Mapping[str, object]) -> Capabilities:
    """From the row of the query ``facts`` in ``sql/queries/migrations.sql``.

    The embedded database is known by its compiler, Emscripten: that works as well for a client that only has an address.
    """
    if "emcc" in str(facts["version"]):
        return embedded()
    return Capabilities(
        # A server with workers turned off has to be served by our scheduler too.
        has_background_workers=int(str(facts["timescaledb_background_workers"])) > 0,
        has_statement_timeout=True,
        has_advisory_locks=True,
        direct_compress=bool(facts["direct_compress"]),
        parallel_writers=True,
        has_lz4=bool(facts["lz4"]),
        has_roles=True,
    )
