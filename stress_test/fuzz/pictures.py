"""Pictures of every format: sound, damaged, spliced, of two formats at once, and bombs; the same for the same seed."""

from __future__ import annotations

import inspect
import itertools
import json
import random
from base64 import b64encode
from typing import TYPE_CHECKING

from stress_test.fuzz.shape import Shape
from tests.pictures import bombs, headers, mutations, odd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    Way = Callable[[bytes, bool], tuple[str, bytes]]  # a picture, and whether several may come: the type and the body

ROUTES = (
    *("/predict", "/infer", "/infer?strict=false", "/v1/jobs", "/infer/batch"),
    *("/detect?strict=false", "/v1/inspections"),
)
# Of so many pictures most are damaged, and the first ones are as named. No multiple of the number of routes: every kind
# goes to each of them.
TURN = 24
WHOLE, OF_TWO, RANDOM, SPLICED = 0, (1, 2), 3, 4
SIGNATURES = {
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "webp": b"RIFF\xff\xff\0\0WEBPVP8 ",
    "gif": b"GIF89a",
    "bmp": b"BM",
    "tiff": b"II*\0\x08\0\0\0",
    "avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
}
OTHER_FORMATS = (
    b"PK\3\4\x14\0\0\0\x08\0",
    b"<html><script>alert(1)</script></html>",
    b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>",
    b"\x7fELF\2\1\1\0",
    b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
)


def shapes(seed: int, count: int) -> Iterator[Shape]:
    """``count`` uploads, to all routes in turns, in every way of sending."""
    for number, (kind, picture) in enumerate(itertools.islice(pictures(seed), count)):
        way = WAYS[number // len(ROUTES) % len(WAYS)]
        yield upload(kind, ROUTES[number % len(ROUTES)], picture, way)


def upload(kind: str, target: str, picture: bytes, way: Way) -> Shape:
    content_type, body = way(picture, "batch" in target)
    request = (
        f"POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Shape(kind, request.encode() + body, "POST", target.partition("?")[0], whole=True)


def _as_form(picture: bytes, several: bool) -> tuple[str, bytes]:
    field = b"files" if several else b"file"
    head = b'--photo\r\nContent-Disposition: form-data; name="%s"; filename="photo"\r\n\r\n' % field
    return "multipart/form-data; boundary=photo", head + picture + b"\r\n--photo--\r\n"


def _as_image(picture: bytes, _several: bool) -> tuple[str, bytes]:
    return "image/jpeg", picture


def _as_curl_sends_it(picture: bytes, _several: bool) -> tuple[str, bytes]:
    return "application/x-www-form-urlencoded", picture


def _as_json(picture: bytes, several: bool) -> tuple[str, bytes]:
    text = b64encode(picture).decode()
    return "application/json", json.dumps({"images": [text]} if several else {"image": text}).encode()


WAYS: tuple[Way, ...] = (_as_form, _as_image, _as_json, _as_curl_sends_it)


def pictures(seed: int) -> Iterator[tuple[str, bytes]]:
    """Kinds and encoded pictures; it does not end."""
    dice = random.Random(seed)  # noqa: S311 - damage, no secret
    originals = {kind: make() for kind, make in mutations.ORIGINALS.items()}
    whole = itertools.cycle(_makers().items())
    damaged = itertools.cycle(
        (kind, mutations.mutated(image, f"{seed}-{kind}", markers=kind.startswith("jpeg")))
        for kind, image in originals.items()
    )
    for number in itertools.count():
        turn = number % TURN
        if turn == WHOLE:
            name, make = next(whole)
            yield f"whole: {name}", make() + dice.randbytes(8)  # so that no answer is known
        elif turn in OF_TWO:
            yield "of two formats", _of_two(dice, list(originals.values()))
        elif turn == RANDOM:
            kind = dice.choice(list(SIGNATURES))
            yield f"random: {kind}", SIGNATURES[kind] + dice.randbytes(dice.choice([0, 1, 20, 300, 20_000]))
        elif turn == SPLICED:
            first, second = dice.choices(list(originals.values()), k=2)
            yield "spliced", first[: dice.randrange(len(first))] + second[dice.randrange(len(second)) :]
        else:
            kind, images = next(damaged)
            yield f"damaged: {kind}", next(images)


def _of_two(dice: random.Random, originals: list[bytes]) -> bytes:
    """A picture and something else in one file, the one or the other first."""
    picture, other = dice.choice(originals), dice.choice([*OTHER_FORMATS, *originals])
    return other + picture if dice.random() < 0.3 else picture + other + dice.randbytes(4)  # noqa: PLR2004


def _makers() -> dict[str, Callable[[], bytes]]:
    """Everything that the tests' rooms make without being told how."""
    return {name: make for room in (odd, headers, bombs) for name, make in _made_alone(room)}


def _made_alone(room: ModuleType) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for name, make in inspect.getmembers(room, inspect.isfunction):
        signature = inspect.signature(make)
        alone = all(
            parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD
            for parameter in signature.parameters.values()
        )
        if make.__module__ == room.__name__ and name[0] != "_" and alone and signature.return_annotation == "bytes":
            yield name, make
