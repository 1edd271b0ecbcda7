"""What differs between databases, by name and with its reason. No other module asks which database it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the database at hand can do. Made once, by :func:`from_facts` or, for a database that we start, :func:`embedded`.

    Attributes:
        has_background_workers: TimescaleDB runs its jobs itself. WebAssembly has no processes: there our scheduler calls run_job().
        has_statement_timeout: PostgreSQL keeps statement_timeout and lock_timeout. It needs signals for that, which WebAssembly does
            not have: there the server around it ends statements, at its own limit or at a lower statement_timeout.
        has_advisory_locks: locks belong to a client. Where all clients share one session, every client holds every advisory lock;
            transactions are serialised there anyway.
        parallel_writers: several transactions proceed at once. Where they don't, a second group of ingest is made ready while the first is
            committed, and a third would only wait.
        direct_compress: COPY can write straight into the columnstore (TimescaleDB 2.21 and later), though not into each hypertable: 2.23
            leaves out those with continuous aggregates. Not asked for on the embedded database, whose chunks are compressed in
            quiet moments.
        role_is_boundary: who signs in as a role can do what it may, and no more. Clients of the embedded database share one superuser's
            session: the server around it lets a reader say what only reads.

    """

    has_background_workers: bool
    has_statement_timeout: bool
    has_advisory_locks: bool
    parallel_writers: bool
    direct_compress: bool
    role_is_boundary: bool


def embedded() -> Capabilities:
    """Those of the embedded database."""
    return Capabilities(
        has_background_workers=False,
        has_statement_timeout=False,
        has_advisory_locks=False,
        parallel_writers=False,
        direct_compress=False,
        role_is_boundary=False,
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
        parallel_writers=True,
        direct_compress=bool(facts.get("timescaledb_direct_compress")),
        role_is_boundary=True,
    )
