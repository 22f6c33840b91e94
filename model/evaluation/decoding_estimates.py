"""`python -m model.evaluation.decoding_estimates [MEGAPIXELS]`: what decoding costs here, and what was expected of it.

The coefficients in contract/decoding_cost.py are compared with it. Times are by the clock, in milliseconds, of the
quickest of three; a factor far from 1 is what workers learn.
"""

from __future__ import annotations

import argparse
import time
from io import BytesIO
from typing import TYPE_CHECKING

from contract.decoding_cost import decoding_cost
from contract.limits import DEFAULT_MAX_PIXELS
from model.cpu import usable_cpus
from model.decode import Decoder
from model.evaluation.decoding_costs import photo_like
from tests.pictures.costly import interlaced_png, jpeg_of_empty_scans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from contract.image_header.header import Size

TIMES = 3
SIDE = 256  # of what a model wants, about


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="model.evaluation.decoding_estimates", description=__doc__)
    parser.add_argument("megapixels", nargs="?", type=float, default=12.0)
    megapixels = parser.parse_args().megapixels
    decoder = Decoder(DEFAULT_MAX_PIXELS)
    print(f"{megapixels:g} megapixels, {usable_cpus()} usable processors\n")
    print("| picture | file, kB | expected, ms | measured, ms | factor | estimating, microseconds |")
    print("|---|---|---|---|---|---|")
    for name, image in pictures(photo_like(megapixels)):
        started = time.perf_counter()
        cost = decoding_cost(image)
        estimating_us = (time.perf_counter() - started) * 1e6
        took_ms = min(_decoding_ms(decoder, image) for _ in range(TIMES))
        print(
            f"| {name} | {len(image) / 1000:.0f} | {cost.ms:.0f} | {took_ms:.0f} | {took_ms / cost.ms:.2f} |"
            f" {estimating_us:.0f} |",
            flush=True,
        )
    decoder.close()


def pictures(photo: Image) -> Iterator[tuple[str, bytes]]:
    """Each format, and those that are dear for their bytes."""
    for name, options in (
        ("JPEG", {}), ("PNG", {"compress_level": 1}), ("WEBP", {"method": 0}), ("GIF", {}), ("BMP", {}), ("TIFF", {}),
        ("AVIF", {"speed": 10}),
    ):  # fmt: skip
        yield name, _file(photo, name, **options)
    progressive = _file(photo, "JPEG", progressive=True)
    yield "JPEG, progressive", progressive
    yield "JPEG of 98 empty scans", jpeg_of_empty_scans(*photo.size)
    yield "PNG, interlaced", interlaced_png(*photo.size)


def _file(picture: Image, kind: str, **options: object) -> bytes:
    encoded = BytesIO()
    picture.save(encoded, kind, **options)
    return encoded.getvalue()


def _decoding_ms(decoder: Decoder, image: bytes) -> float:
    def reduction(size: Size) -> int:
        return next((by for by in (8, 4, 2) if min(size) // by >= SIDE), 1)

    started = time.perf_counter()
    decoder.decode(image, exif_orientation=True, reduction=reduction)
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
