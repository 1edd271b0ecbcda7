"""Who a client is, for limits: its token where the server asks for one, else its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from typing import Any

# A household, a site or a machine has at least so much of IPv6 for itself: one address of it says nothing.
_V6_PREFIX_BITS = 64
_NOBODY = "unknown"

ClientOf = Callable[[Mapping[str, Any]], str]


def client_naming(token: str | None, trusted_proxies: int) -> ClientOf:
    """A function from an ASGI scope to a client's name.

    With a token, which a request has to bear to get this far, whoever bears it is one client. (What is sent to a server without one
    says nothing: anybody could make up a new one for each request.) Without, it is the address: of the connection or, behind
    ``trusted_proxies``, what the outermost of them wrote into X-Forwarded-For. Of IPv6 it is the network of 64 bits.
    """
    if token is not None:
        bearer = "token:" + blake2b(token.encode(), digest_size=8).hexdigest()
        return lambda _: bearer
    return lambda scope: address(scope, trusted_proxies)


def address(scope: Mapping[str, Any], trusted_proxies: int) -> str:
    """The client's address as far as it can be believed; see :func:`client_naming`."""
    peer = scope.get("client")
    if trusted_proxies:
        # Each proxy adds the address that it was asked from at the end: what stands before ours may be made up.
        lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
        hops = [hop.strip() for line in lines for hop in line.split(",")]
        if hops and (named := network(hops[-min(trusted_proxies, len(hops))])) is not None:
            return named
    return (network(peer[0]) if peer else None) or _NOBODY


def network(text: str) -> str | None:
    """An address as a client's name; None for what is none. A port, which some proxies add, is left out."""
    bare = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0] if text.count(":") == 1 else text
    try:
        found = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{IPv6Address(int(found) >> (128 - _V6_PREFIX_BITS) << (128 - _V6_PREFIX_BITS))}/{_V6_PREFIX_BITS}"
    return str(found)
