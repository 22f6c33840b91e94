"""The names that the service answers to, as settings and ``Host`` headers write them."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOPBACK = "localhost"
ANY = "*"

_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"  # Compose's services may have an underscore in their names
_NAME = re.compile(rf"\.?{_LABEL}(\.{_LABEL})*")
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,254})(:[0-9]{0,5})?")


class HostNames:
    """Which ``Host`` headers name this service: any port, any case.

    An address always does: it can't have been pointed here by somebody else's name server. So does ``localhost``, which
    browsers look up nowhere.

    Args:
        names: as ``checked_name`` gives them.
    """

    def __init__(self, names: Iterable[str]) -> None:
        known = {name.lower() for name in names}
        self._any = ANY in known
        self._names = {name for name in known if not name.startswith(".")} | {LOOPBACK}
        self._ends = tuple(name for name in known if name.startswith("."))

    def __contains__(self, host: str) -> bool:
        if self._any:
            return True
        name = name_in(host)
        if name is None:
            return False
        return name in self._names or is_address(name) or f".{name}".endswith(self._ends)


def checked_name(text: str) -> str:
    """A host name of a setting, in lower case: ``example.org``, ``.example.org`` for it and all below it, or ``*``.

    Raises:
        ValueError: it is none of these, nor an address.
    """
    name = text.lower()
    if name != ANY and not _NAME.fullmatch(name) and not is_address(name):
        raise ValueError(
            f"{text!r} is not a host name: write example.org, without scheme, port or path, "
            "or .example.org for it and all names below it, or * for any name"
        )
    return name


def name_in(host: str) -> str | None:
    """The name or address in a ``Host`` header, in lower case, without its port; None if there is none."""
    found = _HOST.fullmatch(host.lower())
    return found[1].removesuffix(".") if found else None


def is_address(name: str) -> bool:
    """Whether ``name`` is an IPv4 address, or an IPv6 address in brackets."""
    try:
        if name.startswith("[") and name.endswith("]"):
            IPv6Address(name[1:-1])
        else:
            IPv4Address(name)
    except ValueError:
        return False
    return True
