"""From which address a request comes, as far as this machine can tell.

Whoever writes an ``X-Forwarded-For`` can write anything into it. It is read only as far as trusted proxies wrote it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.core.sender_names import is_trusted, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from wsgiref.types import WSGIEnvironment

    from api.settings import Networks


def sender_of(environ: WSGIEnvironment, trusted_proxies: Networks) -> str:
    """The address of whoever sent the request: as ``name_of`` writes it.

    Args:
        trusted_proxies: the networks of the proxies before the service; what these say of their peer is believed.
    """
    hops = [str(environ.get("REMOTE_ADDR", "")), *reversed(_forwarded_for(environ))]
    return name_of(_last_untrusted(hops, trusted_proxies))


def _last_untrusted(hops: Sequence[str], trusted_proxies: Networks) -> str:
    """The nearest hop that is no trusted proxy; if all are, the farthest."""
    for hop in hops:
        if not is_trusted(hop, trusted_proxies):
            return hop
    return hops[-1]


def _forwarded_for(environ: WSGIEnvironment) -> list[str]:
    raw = environ.get("HTTP_X_FORWARDED_FOR", "")
    return [hop.strip() for hop in str(raw).split(",")] if raw else []
