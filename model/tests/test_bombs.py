"""Small files made to cost a worker its memory or its time."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from contract.image_header import media_type, read_header
from contract.image_header.header import BrokenHeader
from model.errors import PictureError
from model.sandbox.limits import limits
from tests.pictures import bombs, odd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cv2.typing import MatLike

pytestmark = pytest.mark.long

_RESET_PEAK = "5"  # proc(5), clear_refs
_LOSS = 15  # of 255: what a lossy encoder makes of white


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", bombs.BOMBS)
def test_a_bomb_is_refused_or_shown_as_what_it_seems_to_be(decoder, name):
    """And costs no process more memory than a picture of the size that its header states.

    A reader that it ends is not measured: the system held that one to the same limit.
    """
    image = bombs.BOMBS[name]()
    read(decoder, odd.gif())  # all processes have started

    with peak_growth() as growth:
        try:
            pixels = read(decoder, image)
        except PictureError:
            pixels = None

    assert read(decoder, odd.gif()).shape == (300, 451, 3)  # the next one's turn
    assert max(growth) <= limits(str(media_type(image)), stated_pixels(image), len(image)).memory_bytes
    if pixels is not None:
        assert pixels.shape == (*bombs.SIZE[::-1], 3)
        assert pixels.min() >= 255 - _LOSS


def read(decoder, image: bytes) -> MatLike:
    pixels: MatLike = decoder.decode(image, exif_orientation=True, reduction=lambda _: 1).pixels
    return pixels


def stated_pixels(image: bytes) -> int:
    try:
        header = read_header(image)
    except BrokenHeader:
        return 0
    return header.largest.pixels if header else 0


@contextmanager
def peak_growth() -> Iterator[list[int]]:
    """Gives, afterwards, by how many bytes each process that is still there, and was, passed what it had."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    before = {}
    for process in processes:
        Path(f"/proc/{process.pid}/clear_refs").write_text(_RESET_PEAK)
        before[process] = peak_bytes(process)
    growth: list[int] = []
    yield growth
    growth += [peak_bytes(process) - was for process, was in before.items() if process.is_running()]


def peak_bytes(process: psutil.Process) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
