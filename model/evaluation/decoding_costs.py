"""`python -m model.evaluation.decoding_costs [MEGAPIXELS]`: what each kind of picture costs the sandbox, unlimited.

Memory is addresses, as the limit counts them, at their most beyond those before the picture; time is the processor's.
The table in docs/decisions/0027 and the numbers in model/sandbox/limits.py come from it.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pillow_heif
from PIL import Image, ImageCms

from contract.image_header import media_type
from model.cpu import usable_cpus
from model.opencv import cv2
from model.sandbox import picture
from model.sandbox.limits import limits
from model.sandbox.messages import DecodeRequest
from model.sandbox.process import load_decoders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASPECT = 4 / 3
ENLARGED = 64  # a side of the noise of which the picture is enlarged: shapes of a photo's kind, and its grain on them


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one picture: bytes and nanoseconds per pixel, and the share of what ``limits`` allows."""

    kind: str
    file_bytes: int
    bytes_per_pixel: float
    resident_per_pixel: float
    ns_per_pixel: float
    of_memory_allowed: float
    of_time_allowed: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="model.evaluation.decoding_costs", description=__doc__)
    parser.add_argument("megapixels", nargs="?", type=float, default=12.0)
    megapixels = parser.parse_args().megapixels
    load_decoders()
    print(f"{megapixels:g} megapixels, {usable_cpus()} usable processors\n")
    print("| kind | file, MB | addresses, bytes/pixel | resident | ns/pixel | of the memory allowed | of the time |")
    print("|---|---|---|---|---|---|---|")
    for kind, image in pictures(photo_like(megapixels)):
        cost = measured(kind, image, round(megapixels * 1e6))
        print(
            f"| {kind} | {cost.file_bytes / 1e6:.1f} | {cost.bytes_per_pixel:.1f} | {cost.resident_per_pixel:.1f} |"
            f" {cost.ns_per_pixel:.0f} | {cost.of_memory_allowed:.0%} | {cost.of_time_allowed:.0%} |",
            flush=True,
        )


def photo_like(megapixels: float) -> Image.Image:
    """An RGB picture with shapes and grain."""
    width = round((megapixels * 1e6 * ASPECT) ** 0.5)
    size = (width, round(megapixels * 1e6 / width))
    dice = np.random.default_rng(0)
    shapes = Image.fromarray(dice.integers(0, 256, (ENLARGED, ENLARGED, 3), np.uint8)).resize(
        size, Image.Resampling.BICUBIC
    )
    pixels = np.asarray(shapes).astype(np.int16)
    pixels += dice.integers(-6, 7, pixels.shape, np.int8)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def pictures(photo: Image.Image) -> Iterator[tuple[str, bytes]]:
    """Each format in the variants that differ in what they cost."""
    size = photo.size
    alpha = photo.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(size))
    grey, palette, inks = photo.convert("L"), photo.quantize(200), photo.convert("CMYK")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plans: list[tuple[str, Callable[[], bytes]]] = [
        ("JPEG, with a profile", lambda: _file(photo, "JPEG", quality=90, icc_profile=profile)),
        ("JPEG, progressive, with a profile", lambda: _file(photo, "JPEG", progressive=True, icc_profile=profile)),
        ("JPEG, CMYK", lambda: _file(inks, "JPEG", quality=90)),
        ("JPEG, CMYK, progressive", lambda: _file(inks, "JPEG", quality=90, progressive=True)),
        ("PNG, alpha", lambda: _file(alpha, "PNG", compress_level=1)),
        ("PNG, with a profile", lambda: _file(photo, "PNG", compress_level=1, icc_profile=profile)),
        ("PNG, 16 bits, grey", lambda: _file(deep, "PNG", compress_level=1)),
        ("PNG, palette with transparency", lambda: _file(palette, "PNG", compress_level=1, transparency=0)),
        ("PNG, 1 bit", lambda: _file(photo.convert("1"), "PNG")),
        ("GIF", lambda: _file(palette, "GIF")),
        ("GIF, transparent", lambda: _file(palette, "GIF", transparency=0)),
        ("BMP", lambda: _file(photo, "BMP")),
        ("BMP, 8 bits", lambda: _file(palette, "BMP")),
        ("BMP, alpha", lambda: _file(alpha, "BMP")),
        ("TIFF", lambda: _file(photo, "TIFF")),
        ("TIFF, deflate, alpha", lambda: _file(alpha, "TIFF", compression="tiff_adobe_deflate")),
        ("TIFF, LZW", lambda: _file(photo, "TIFF", compression="tiff_lzw")),
        ("TIFF, 16 bits, grey", lambda: _file(deep, "TIFF")),
        ("TIFF, 32 bits", lambda: _file(grey.convert("I"), "TIFF")),
        ("TIFF, float", lambda: _file(grey.convert("F"), "TIFF")),
        ("TIFF, CMYK", lambda: _file(inks, "TIFF")),
        ("TIFF, Lab", lambda: _file(photo.convert("LAB"), "TIFF")),
        ("TIFF, 32 bits, colours", lambda: _deep_tiff(photo)),
        ("AVIF", lambda: _file(photo, "AVIF", speed=10, quality=70)),
        ("AVIF, 4:4:4, alpha", lambda: _file(alpha, "AVIF", speed=10, quality=70, subsampling="4:4:4")),
        ("HEIC", lambda: _heic(photo)),
        ("HEIC, tiles", lambda: _heic(photo, tile_size=512)),
        ("HEIC, alpha", lambda: _heic(alpha)),
        ("HEIC, 10 bits", lambda: _deep_heic(photo)),
    ]  # fmt: skip
    if max(size) <= 16383:  # noqa: PLR2004 - WebP's own limit
        plans += [
            ("WebP, alpha", lambda: _file(alpha, "WEBP", method=0, quality=80)),
            ("WebP, lossless, alpha", lambda: _file(alpha, "WEBP", method=0, quality=0, lossless=True)),
            ("WebP, with a profile", lambda: _file(photo, "WEBP", method=0, quality=80, icc_profile=profile)),
            ("WebP, animated", lambda: _file(photo, "WEBP", save_all=True, append_images=[grey.convert("RGB")])),
        ]  # fmt: skip
    for kind, make in plans:
        yield kind, make()


def measured(kind: str, image: bytes, pixels: int) -> Cost:
    """Read ``image`` once, in a process of its own that has read nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        addresses, resident, cpu_s = pool.submit(_spent, image, pixels).result()
    allowed = limits(_type(image), pixels, len(image))
    return Cost(
        kind,
        len(image),
        addresses / pixels,
        resident / pixels,
        cpu_s * 1e9 / pixels,
        (addresses + len(image)) / allowed.memory_bytes,
        cpu_s / allowed.cpu_s,
    )


def _spent(image: bytes, pixels: int) -> tuple[int, int, float]:
    """Bytes of addresses, bytes in memory, and seconds of the processor."""
    load_decoders()
    request = DecodeRequest(
        media_type=_type(image), pixels=pixels, shorter_side=1, reduction=1, exif_orientation=True, strict=True
    )
    before, cpu_before = _memory(), time.process_time()
    picture.read(image, request, 2 * pixels)
    after, cpu_s = _memory(), time.process_time() - cpu_before
    return after["VmPeak"] - before["VmSize"], after["VmHWM"] - before["VmRSS"], cpu_s


def _type(image: bytes) -> str:
    found = media_type(image)
    assert found is not None
    return found


def _memory() -> dict[str, int]:
    """This process's, in bytes, by the names in Linux' /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith(" kB")}


def _file(picture: Image.Image, file_format: str, **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


def _heic(picture: Image.Image, **options: Any) -> bytes:
    file = BytesIO()
    pillow_heif.from_pillow(picture).save(file, quality=70, enc_params={"preset": "ultrafast"}, **options)
    return file.getvalue()


def _deep_tiff(picture: Image.Image) -> bytes:
    written, file = cv2.imencode(".tiff", np.asarray(picture).astype(np.float32) / 255)
    assert written
    return file.tobytes()


def _deep_heic(picture: Image.Image) -> bytes:
    file = BytesIO()
    deep = np.asarray(picture).astype(np.uint16) * 257
    pillow_heif.encode("RGB;16", picture.size, deep.tobytes(), file, quality=70, enc_params={"preset": "ultrafast"})
    return file.getvalue()


if __name__ == "__main__":
    main()
