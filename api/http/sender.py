"""From which address a request comes, as far as this machine can tell.

Whoever writes an ``X-Forwarded-For`` can write anything into it. It is read only as far as trusted proxies wrote it.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from api.core.sender_names import is_trusted, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import WSGIEnvironment

    from api.settings import Networks

_WITH_PORT = re.compile(r"(?:\[([^\]]*)\]|([^:]*))(?::[0-9]{1,5})?")  # some proxies write one; of IPv6 only in brackets


def sender_of(environ: WSGIEnvironment, trusted_proxies: Networks) -> str:
    """The address of whoever sent the request: as ``name_of`` writes it.

    Args:
        trusted_proxies: the networks of the proxies before the service; what these say of their peer is believed.
    """
    hops = chain((str(environ.get("REMOTE_ADDR", "")),), _forwarded_for(environ))
    return name_of(_last_untrusted(hops, trusted_proxies))


def _last_untrusted(hops: Iterable[str], trusted_proxies: Networks) -> str:
    """The nearest hop that is no trusted proxy; if all are, the farthest."""
    hop = ""
    for hop in hops:
        if not is_trusted(hop, trusted_proxies):
            break
    return hop


def _forwarded_for(environ: WSGIEnvironment) -> Iterator[str]:
    """The addresses, without ports, the nearest first."""
    raw = str(environ.get("HTTP_X_FORWARDED_FOR", ""))
    for hop in reversed(raw.split(",") if raw else []):
        found = _WITH_PORT.fullmatch(hop.strip())
        yield (found[1] or found[2]) if found else hop.strip()
