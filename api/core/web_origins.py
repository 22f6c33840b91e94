"""Origins as browsers write them: scheme, host, and the port where it is not the scheme's own."""

from __future__ import annotations

import re

from api.core.host_names import name_in

OWN_PORTS = {"http": 80, "https": 443}
LAST_PORT = 65_535

_ORIGIN = re.compile(r"(https?)://([^:\[\]]+|\[[^\[\]]+\])(?::([0-9]{1,5}))?")


def checked_origin(text: str) -> str:
    """An origin of a setting, as a browser sends it.

    Raises:
        ValueError: it is none; patterns are not, and nor is ``null``, which is what every sandboxed page calls itself.
    """
    found = _ORIGIN.fullmatch(text.lower())
    name = name_in(found[2]) if found else None
    if found is None or name is None or not 1 <= int(found[3] or 1) <= LAST_PORT:
        raise ValueError(
            f"{text!r} is not an origin: write https://app.example.org, with its port if it has one of its own, "
            "without a path, each origin in full"
        )
    return origin_of(found[1], f"{name}:{found[3]}" if found[3] else name)


def origin_of(scheme: str, host: str) -> str:
    """The origin of pages that are served by ``scheme`` under ``host``, a ``Host`` header."""
    return f"{scheme}://{host.lower()}".removesuffix(f":{OWN_PORTS.get(scheme, 0)}")
