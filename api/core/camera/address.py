"""The camera's address: the only one that is ever asked. It is checked at the start."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, unquote_plus, urlencode, urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PORTS = {"http": 80, "https": 443}

_URL_SIGNS = re.compile(r"[!-\[\]-~]+")  # printable ASCII without spaces and backslashes
_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?")


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """Where the camera is asked for a picture.

    Attributes:
        host: a name in lower case, or an address; one of IPv6 without brackets.
        query: as the operator has written it; what a request does not say of the picture, it may.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises ValueError: it is no address that could be asked, or has a secret in it; the message follows it."""
        if not _URL_SIGNS.fullmatch(url):
            raise ValueError("must be an address of printable ASCII characters (write all others as %XX)")
        if "#" in url:
            raise ValueError("must have no fragment, which is never sent (write # as %23)")
        try:
            parts = urlsplit(url)
            port = _port(parts)
        except ValueError:
            raise ValueError("is no address: its host or its port can't be read") from None
        if parts.scheme not in DEFAULT_PORTS:
            raise ValueError("must begin with http:// or https://")
        if "@" in parts.netloc:
            raise ValueError(
                "must have no user or password: a token belongs in CAMERA_AUTH_TOKEN_FILE, "
                "another header in CAMERA_HEADERS_FILE"
            )
        host = parts.hostname or ""
        if not _is_host(host) or port == 0:
            raise ValueError("is no address: its host or its port can't be read")
        return cls(parts.scheme, host, port, parts.path or "/", parts.query)

    @property
    def authority(self) -> str:
        """As a ``Host`` header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def target(self, parameters: Mapping[str, str]) -> str:
        """Path and query of a request with these parameters, which take the place of those of the operator's query."""
        kept = [part for part in self.query.split("&") if part and _name_of(part) not in parameters]
        return _target(self.path, "&".join([*kept, *([urlencode(parameters)] if parameters else [])]))

    def redirected(self, target: str, location: str) -> str | None:
        """The target that a redirect from ``target`` leads to; None if that is at another scheme, host or port."""
        if not _URL_SIGNS.fullmatch(location):
            return None
        try:
            there = urlsplit(urljoin(f"{self.scheme}://{self.authority}{target}", location))
            origin = there.scheme, there.hostname, _port(there)
        except ValueError:
            return None
        if origin != (self.scheme, self.host, self.port) or "@" in there.netloc:
            return None
        return _target(there.path or "/", there.query)


def checked_address(url: str) -> str:
    """A setting's value; empty for no camera. Raises ValueError as ``CameraAddress.parse`` does."""
    if url:
        CameraAddress.parse(url)
    return url


def _port(parts: SplitResult) -> int:
    """Raises ValueError: it is none."""
    return DEFAULT_PORTS.get(parts.scheme, 0) if parts.port is None else parts.port


def _is_host(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return _NAME.fullmatch(host) is not None
    return True


def _name_of(part: str) -> str:
    return unquote_plus(part.partition("=")[0])


def _target(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path
