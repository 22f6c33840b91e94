"""Addresses as names of senders, for the bounds that hold for each of them."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.settings import Networks

UNKNOWN = "unknown"  # all whose address nobody knows, as on a Unix socket, count as one sender
MOST_CACHED = 1024  # addresses: a sender sends many requests, and parsing costs more than all else here
IPV6_PREFIX = 64  # what one customer is given at least (RFC 6177): single addresses of it cost him nothing


def is_trusted(address: str, trusted_proxies: Networks) -> bool:
    """Whether ``address`` is one of the proxies: many senders share it."""
    known = _parsed(address)
    return known is not None and any(known in network for network in trusted_proxies)


@lru_cache(maxsize=MOST_CACHED)
def name_of(address: str) -> str:
    """An IPv4 address, the /64 of an IPv6 address, or ``UNKNOWN``."""
    known = _parsed(address)
    if known is None:
        return UNKNOWN
    if isinstance(known, IPv6Address):
        return str(IPv6Network((known, IPV6_PREFIX), strict=False))
    return str(known)


@lru_cache(maxsize=MOST_CACHED)
def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        known = ip_address(address)
    except ValueError:
        return None
    mapped = known.ipv4_mapped if isinstance(known, IPv6Address) else None
    return mapped or known
