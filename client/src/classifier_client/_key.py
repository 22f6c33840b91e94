"""The key that a service may need: where it comes from, and where it must not go."""

from __future__ import annotations

import ipaddress
import os
import re

VARIABLE = "CLASSIFIER_KEY"
POSSIBLE = re.compile(r"[!-~]+")  # printable ASCII: nothing that could end a header or begin another


class Secret(str):
    """A text that is not shown where values are: in a traceback with its variables, in a debugger, in a log."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def authorization(key: str | None, scheme: str, host: str, *, allow_plain_http: bool) -> Secret | None:
    """The header ``Authorization`` of every request; None without a key.

    Args:
        key: None means the environment's ``CLASSIFIER_KEY``, as it is now; an empty text means none.
        scheme: of the service's address, in lower case.
        host: of the service's address; an IPv6 address in brackets.
        allow_plain_http: whether others may read the key on its way.

    Raises:
        ValueError: no key looks like that, or it would travel unencrypted to another machine. The key is not named.
    """
    if key is None:
        key = os.environ.get(VARIABLE, "")
    if not key:
        return None
    if not POSSIBLE.fullmatch(key):
        raise ValueError("a key has printable ASCII characters only, and no spaces or line ends")
    if scheme != "https" and not allow_plain_http and not _is_this_machine(host):
        raise ValueError(
            f"the key would travel to {host} unencrypted, for everybody on the way to read: use https, or say"
            " allow_plain_http=True if the network is yours alone"
        )
    return Secret(f"Bearer {key}")


def _is_this_machine(host: str) -> bool:
    """Without asking a name server, whose answer would be another's word."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
