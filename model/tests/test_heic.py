"""HEIC photos, as phones send them and as nobody should."""

from __future__ import annotations

import random
import signal
import sys
import textwrap
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from contract.limits import DEFAULT_MAX_PIXELS
from model import heic, heic_process
from model.errors import TooManyPixels, UndecodableImage
from model.serving.lease import COMPUTE_LIMIT_S
from tests.pictures import odd

if TYPE_CHECKING:
    import subprocess

    from cv2.typing import MatLike

    from model.decode import Decoder


@pytest.fixture
def read(decoder):
    """What a decoder makes of a HEIC."""

    def read(image: bytes, *, exif_orientation: bool = True, reduction: int = 1) -> MatLike:
        return reader.decode(image, exif_orientation=exif_orientation, reduction=lambda _: reduction)

    reader: Decoder = decoder
    return read


def difference(pixels, picture):
    """The mean difference, of 255, between BGR pixels and a Pillow picture."""
    return np.abs(pixels[..., ::-1].astype(int) - np.asarray(picture).astype(int)).mean()


@pytest.mark.parametrize("make", [odd.heic, odd.tiled_heic, odd.turned_heic])
def test_a_heic_shows_the_same_photo(read, make):
    """In one piece or in tiles, upright."""
    pixels = read(make())

    assert pixels.dtype == np.uint8
    assert pixels.shape == (300, 451, 3)
    assert difference(pixels, odd.photo()) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_turned_once_as_its_boxes_say(read, orientation):
    """Phones say it in EXIF data as well; turned by both it would lie on its other side."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    jpeg = odd.encoded(odd.photo(), "JPEG", exif=exif, quality=95)
    image = odd.heic_of(odd.photo(), exif=exif.tobytes())

    assert difference(read(image), ImageOps.exif_transpose(odd.opened(jpeg)).convert("RGB")) < 4


def test_exif_data_alone_turn_no_heic(read):
    """The standard leaves turning to the boxes (ISO/IEC 23008-12, 6.5.10), and so does every viewer."""
    upright = odd.turned_heic().replace(b"irot", b"free")

    assert read(upright).shape[:2] == (451, 300)


def test_grey_becomes_three_equal_channels(read):
    pixels = read(odd.heic_of(odd.photo().convert("L")))

    assert difference(pixels, odd.photo().convert("L").convert("RGB")) < 4


def test_more_than_eight_bits_are_scaled_to_eight(read):
    """As an iPhone's HDR photos have, and Canon's."""
    deep = np.asarray(odd.photo()).astype(np.uint16) * 257
    file = BytesIO()
    pillow_heif.encode("RGB;16", (451, 300), deep.tobytes(), file, quality=80)

    assert difference(read(file.getvalue()), odd.photo()) < 4


def test_transparency_is_laid_on_white(read):
    pixels = read(odd.heic_of(odd.opened(odd.alpha_png())))

    assert pixels[:16].min() > 245
    assert difference(pixels[20:-20, 20:-20], odd.photo()) < 4


def test_a_heic_comes_smaller_where_that_is_enough(read):
    """Twelve megapixels need not travel from one process to another to become 224 x 224."""
    pixels = read(odd.heic(), reduction=4)

    assert pixels.shape == (75, 112, 3)
    assert difference(pixels, odd.photo().crop((0, 0, 448, 300)).reduce(4)) < 6


@pytest.mark.parametrize(
    "make",
    [
        odd.heic_with_a_huge_picture_in_it,
        lambda: odd.heic()[:-20],
        lambda: odd.heic().replace(b"hvcC", b"free"),
        lambda: odd.heic().replace(b"pitm", b"free"),
        lambda: odd.heic().replace(b"heic", b"heis").replace(b"hvc1", b"av01"),
    ],
    ids=["a huge picture in it", "cut short", "no decoder's settings", "no main picture", "another codec"],
)
def test_a_heic_that_cannot_be_read_is_its_senders_fault(read, make):
    with pytest.raises(UndecodableImage):
        read(make())


@pytest.mark.long
def test_damage_anywhere_is_survived(read):
    """Boxes that contradict each other, settings that the data do not fit."""
    dice = random.Random(0)  # noqa: S311 - the same damage every time
    for whole in (odd.heic(odd.ROCKET), odd.tiled_heic(odd.ROCKET)):
        for _ in range(60):
            damaged = bytearray(whole)
            for _ in range(dice.choice([1, 3, 30])):
                damaged[dice.randrange(12, 700)] = dice.randrange(256)
            try:
                pixels = read(bytes(damaged))
            except (UndecodableImage, TooManyPixels):
                continue
            assert pixels.shape[2] == 3


def test_a_decoder_that_dies_is_replaced_and_the_picture_gets_its_answer(read, running):
    """The machine may have been short of memory for another reason than this picture."""
    process = running()
    process.send_signal(signal.SIGKILL)

    assert read(odd.heic()).shape == (300, 451, 3)


def test_a_picture_that_ends_every_decoder_is_refused(read, decoder, monkeypatch):
    """Whatever it does to the process, the worker lives and says so."""
    decoder.close()
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(UndecodableImage, match="more time or memory than a photo does"):
        read(odd.heic())


@pytest.fixture
def running(read, decoder):
    """Gives the decoder's process, which has read a picture."""

    def running() -> subprocess.Popen[bytes]:
        read(odd.heic())
        process: subprocess.Popen[bytes] | None = decoder._heic._process
        assert process is not None
        return process

    return running


def test_a_picture_that_takes_too_much_processor_time_is_refused_at_once(read, decoder, monkeypatch, tmp_path, caplog):
    """Nothing in a file says how long it will take. A second try would only take as long."""
    (tmp_path / "spinning.py").write_text(
        textwrap.dedent("""\
            import itertools, sys
            sys.path.insert(0, ".")
            from model import heic_process

            heic_process.CPU_LIMIT_S = 1
            heic_process.decode = lambda *_: sum(itertools.repeat(0))
            heic_process.main(1_000_000)
            """)
    )
    spinning = tmp_path / "spinning"
    spinning.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{spinning}.py"\n')
    spinning.chmod(0o755)
    decoder.close()
    monkeypatch.setattr(sys, "executable", str(spinning))

    with pytest.raises(UndecodableImage, match="more time or memory than a photo does"):
        read(odd.heic())
    assert caplog.messages == [f"the decoder of HEICs died, exit code {-signal.SIGXCPU}"]


def test_the_decoder_may_have_so_much_memory_and_no_more(running):
    """16 bytes for each pixel of the largest picture, beyond what it starts with, which is less than 2 GB."""
    limits = Path(f"/proc/{running().pid}/limits").read_text().splitlines()
    (soft, hard) = next(line.split()[3:5] for line in limits if line.startswith("Max address space"))
    working = heic_process.WORKING_BYTES + heic_process.BYTES_PER_PIXEL * DEFAULT_MAX_PIXELS

    assert soft == hard != "unlimited"
    assert working < int(hard) < working + 2 * 1024**3


@pytest.mark.long
def test_a_decoder_that_gives_no_answer_is_given_up(read, running, monkeypatch, caplog):
    """On a machine with too much to do, ten seconds of the processor's time may never come together."""
    process = running()
    process.send_signal(signal.SIGSTOP)
    with monkeypatch.context() as shortly:
        shortly.setattr(heic, "WALL_LIMIT_S", 0.2)
        with pytest.raises(UndecodableImage, match="more time or memory than a photo does"):
            read(odd.heic())

    assert caplog.messages == [f"the decoder of HEICs died, exit code {-signal.SIGKILL}"]
    assert read(odd.heic()).shape == (300, 451, 3)


@pytest.mark.long
def test_a_decoder_that_takes_no_picture_is_given_up(read, running, monkeypatch):
    """More bytes than a pipe holds wait for their reader."""
    running().send_signal(signal.SIGSTOP)
    monkeypatch.setattr(heic, "WALL_LIMIT_S", 0.2)

    with pytest.raises(UndecodableImage, match="more time or memory than a photo does"):
        read(odd.heic() + bytes(1024 * 1024))


def test_a_picture_is_given_up_before_its_worker_takes_itself_to_hang():
    """Else the sender of a bad picture would get a 500, after it has ended four workers."""
    assert heic_process.CPU_LIMIT_S < heic.WALL_LIMIT_S < COMPUTE_LIMIT_S


@pytest.mark.parametrize("trouble", [MemoryError, KeyboardInterrupt])
def test_after_a_failure_between_question_and_answer_no_picture_gets_anothers_pixels(read, monkeypatch, trouble):
    """The answer that was not read would be the next one's, and its label another person's."""
    with monkeypatch.context() as once:
        once.setattr(heic, "_read", Mock(side_effect=trouble))
        with pytest.raises(trouble):
            read(odd.heic())

    assert difference(read(odd.heic(odd.ROCKET)), odd.opened(odd.ROCKET.read_bytes())) < 4
    assert difference(read(odd.heic()), odd.photo()) < 4


def test_the_decoder_knows_nothing_of_the_service(running, decoder, monkeypatch):
    """A picture that took the process over would find no address and no key in it."""
    monkeypatch.setenv("REDIS_URL", "redis://:secret@127.0.0.1:6379/0")
    decoder.close()
    process = running()

    assert b"secret" not in Path(f"/proc/{process.pid}/environ").read_bytes()
