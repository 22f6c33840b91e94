"""Who sends a request, for the bounds that hold for each sender: an address, as far as this machine can tell.

Whoever writes an ``X-Forwarded-For`` can write anything into it. It is read only as far as trusted proxies wrote it.
"""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

from flask import request

from api.core.client import Client
from api.http.hang_up import watched
from api.metrics.recorder import Metrics
from api.services import Services

if TYPE_CHECKING:
    from collections.abc import Sequence
    from wsgiref.types import WSGIEnvironment

    from api.settings import Networks

UNKNOWN = "unknown"  # all whose address nobody knows, as on a Unix socket, count as one sender
IPV6_PREFIX = 64  # what one customer is given at least (RFC 6177): single addresses of it cost him nothing


def current_client() -> Client:
    """The client of the current request."""
    sender = sender_of(request.environ, Services.current().settings.trusted_proxies)
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        return Client(sender)
    return Client(sender, partial(watched, connection.fileno(), Metrics.current().count_abandoned))


def sender_of(environ: WSGIEnvironment, trusted_proxies: Networks) -> str:
    """The address of whoever sent the request: an IPv4 address, the /64 of an IPv6 address, or ``UNKNOWN``.

    Args:
        trusted_proxies: the networks of the proxies before the service; what these say of their peer is believed.
    """
    hops = [str(environ.get("REMOTE_ADDR", "")), *reversed(_forwarded_for(environ))]
    return name_of(_last_untrusted(hops, trusted_proxies))


def is_trusted(address: str, trusted_proxies: Networks) -> bool:
    """Whether ``address`` is one of the proxies: many senders share it."""
    known = _parsed(address)
    return known is not None and any(known in network for network in trusted_proxies)


def name_of(address: str) -> str:
    """As ``sender_of``, of the address of a connection's peer."""
    known = _parsed(address)
    if known is None:
        return UNKNOWN
    if isinstance(known, IPv6Address):
        return str(IPv6Network((known, IPV6_PREFIX), strict=False))
    return str(known)


def _last_untrusted(hops: Sequence[str], trusted_proxies: Networks) -> str:
    """The nearest hop that is no trusted proxy; if all are, the farthest."""
    for hop in hops:
        if not is_trusted(hop, trusted_proxies):
            return hop
    return hops[-1]


def _forwarded_for(environ: WSGIEnvironment) -> list[str]:
    raw = environ.get("HTTP_X_FORWARDED_FOR", "")
    return [hop.strip() for hop in str(raw).split(",")] if raw else []


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        known = ip_address(address)
    except ValueError:
        return None
    mapped = known.ipv4_mapped if isinstance(known, IPv6Address) else None
    return mapped or known
