"""A request around a body."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stress_test.fuzz.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Iterable

PHOTO = (Path(__file__).parents[2] / "tests" / "pictures" / "rocket.jpg").read_bytes()
ORDINARY_TYPE = b"multipart/form-data; boundary=photo"


def request(kind: str, method: str, path: str, body: bytes, headers: Iterable[bytes]) -> Shape:
    """With the body's length."""
    length = [b"Content-Length: %d" % len(body)] if body or method == "POST" else []
    return framed(kind, path, [*length, *headers], body, method)


def framed(kind: str, path: str, headers: Iterable[bytes], body: bytes, method: str = "POST") -> Shape:
    """With whatever length ``headers`` say."""
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: localhost", b"Connection: close", *headers]
    if not any(line.startswith(b"Content-Type") for line in lines) and body:
        lines.append(b"Content-Type: " + ORDINARY_TYPE)
    return Shape(kind, b"\r\n".join(lines) + b"\r\n\r\n" + body, method, path)
