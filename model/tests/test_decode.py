"""Reading pictures: what every reader must get right, and what no reader may be hurt by."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from model.decode import Decoder
from model.errors import DamagedImage, TooManyPixels, UndecodableImage
from model.opencv import cv2
from tests.pictures import odd, profiles

if TYPE_CHECKING:
    from cv2.typing import MatLike

    from contract.image_header.header import Size


@pytest.fixture
def read(decoder):
    """What a decoder makes of a picture that is wanted whole."""

    def read(image: bytes, *, exif_orientation: bool = True) -> MatLike:
        return reader.decode(image, exif_orientation=exif_orientation, reduction=lambda _: 1).pixels

    reader: Decoder = decoder
    return read


def difference(pixels, picture):
    """The mean difference, of 255, between BGR pixels and a Pillow picture."""
    return np.abs(pixels[..., ::-1].astype(int) - np.asarray(picture).astype(int)).mean()


COLOURED = [name for name in odd.SOUND if not name.startswith(("greyscale", "sixteen_bit_grey", "alpha"))]


@pytest.mark.parametrize("name", COLOURED)
def test_every_format_shows_the_same_photo(read, name):
    """Upright, in colour and in the right channel order; of an animation, the first frame."""
    pixels = read(odd.SOUND[name]())

    assert pixels.dtype == np.uint8
    assert pixels.shape == (300, 451, 3)
    assert difference(pixels, odd.photo()) < 4


@pytest.mark.parametrize("name", ["greyscale_jpeg", "sixteen_bit_grey_png"])
def test_grey_becomes_three_equal_channels(read, name):
    pixels = read(odd.SOUND[name]())

    assert difference(pixels, odd.photo().convert("L").convert("RGB")) < 2


def test_a_transparent_margin_is_white_whatever_colour_hides_in_it(read):
    """A viewer shows cut-out objects on a white page; black there would be another picture."""
    pixels = read(odd.alpha_png())

    assert (pixels[:20] == 255).all()
    assert difference(pixels[20:-20, 20:-20], odd.photo()) < 1


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_half_transparent_pixels_are_blended_with_white(read, file_format):
    half = Image.new("RGBA", (8, 8), (255, 0, 100, 128))

    pixels = read(odd.encoded(half, file_format))

    np.testing.assert_allclose(pixels[4, 4], [177, 127, 255], atol=3)  # blue, green, red


def test_a_gif_with_a_transparent_colour_shows_white_there(read):
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 200, 0, 0])

    pixels = read(odd.encoded(picture, "GIF", transparency=1))

    assert (pixels == 255).all()


def test_sixteen_bits_are_scaled_to_eight_not_cut_off(read):
    deep = Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16))

    assert read(odd.encoded(deep, "PNG"))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_its_exif_data_says(read, file_format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = odd.encoded(odd.photo(), file_format, exif=exif, quality=95)
    upright = ImageOps.exif_transpose(odd.opened(image)).convert("RGB")

    assert difference(read(image), upright) < 4
    assert read(image, exif_orientation=False).shape == (300, 451, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_turned_as_its_boxes_say(read, orientation):
    """Converters put there what a JPEG's EXIF data said, as Pillow does here."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    jpeg = odd.encoded(odd.photo(), "JPEG", exif=exif, quality=95)
    image = odd.encoded(odd.photo(), "AVIF", exif=exif.tobytes(), quality=90)
    upright = ImageOps.exif_transpose(odd.opened(jpeg))

    assert difference(read(image), upright.convert("RGB")) < 4
    assert read(image, exif_orientation=False).shape == (300, 451, 3)


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\0",
        b"MM\0*\0\0\0\x08\xff\xff",  # more entries than there are bytes
        b"MM\0*\xff\xff\xff\xff",  # a directory far behind the end
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0",  # orientation 99
    ],
)
def test_damaged_exif_data_leaves_the_photo_as_it_lies(read, exif):
    image = odd.encoded(odd.photo(), "WEBP", exif=b"Exif\0\0" + exif)

    assert read(image).shape == (300, 451, 3)


def test_a_jpeg_is_decoded_smaller_where_that_is_enough(decoder):
    seen = []

    def half(size: Size) -> int:
        seen.append(size)
        return 2

    pixels = decoder.decode(odd.CHELSEA.read_bytes(), exif_orientation=True, reduction=half).pixels

    assert seen == [(451, 300)]
    assert pixels.shape == (150, 226, 3)


BROKEN = {
    "empty": b"",
    "text": odd.text_as_jpeg(),
    "only the start of a JPEG": b"\xff\xd8\xff",
    "JPEG cut in its frame header": odd.CHELSEA.read_bytes()[:160],
    "JPEG cut in half": odd.truncated_jpeg(),
    "JPEG without its last bytes": odd.CHELSEA.read_bytes()[:-20],
    "progressive JPEG cut in half": odd.progressive_jpeg()[:15_000],
    "JPEG with endless scans": odd.jpeg_with_endless_scans(),
    "PNG with a huge chunk": odd.png_with_a_huge_chunk(),
    "PNG without its end": odd.png()[:-12],
    "0 x 0": odd.zero_by_zero_png(),
} | {
    f"{make.__name__} cut in half": make()[: len(make()) // 2]
    for make in (odd.png, odd.webp, odd.gif, odd.bmp, odd.tiff, odd.avif, odd.heic, odd.tiled_heic)
}


@pytest.mark.parametrize("image", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_broken_is_refused_rather_than_half_shown(read, image):
    """A photo that ends in grey gets an answer, and a wrong one."""
    with pytest.raises(UndecodableImage):
        read(image)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", odd.ENDLESS)
def test_what_is_made_to_keep_a_worker_busy_is_refused(read, name, capfd):
    """The command line has no API before it. A decoder's captured would fill the log, a line for each part."""
    with pytest.raises(UndecodableImage):
        read(odd.ENDLESS[name]())

    assert capfd.readouterr().err == ""


@pytest.mark.timeout(20)
def test_what_follows_a_jpegs_data_costs_next_to_nothing(read):
    """Five million comments take libjpeg 60 ms."""
    assert read(odd.jpeg_with_endless_comments_after_its_scan()).shape == (300, 451, 3)


@pytest.mark.timeout(20)
def test_texts_in_a_png_are_not_inflated(read, capfd):
    """They are no part of what it shows, and 2,000 of 8 MB each took more than 20 seconds."""
    pixels = read(odd.png_with_inflating_texts())

    assert difference(pixels, odd.photo()) == 0
    assert capfd.readouterr().err == ""


def test_a_colour_profile_and_a_gamma_value_of_srgbs_change_no_pixel(read):
    """Most that come say no more than that."""
    whole = odd.png()
    gamma = odd.chunk(b"gAMA", (45_455).to_bytes(4))
    profiled = odd.encoded(
        odd.photo(), "PNG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    )

    for image in (whole[:33] + gamma + whole[33:], profiled):
        assert difference(read(image), odd.photo()) == 0
        np.testing.assert_array_equal(read(image), cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR))


def test_an_animated_png_shows_its_first_frame(read):
    black = Image.new("RGB", odd.photo().size)
    image = odd.encoded(odd.photo(), "PNG", save_all=True, append_images=[black], duration=100)

    assert difference(read(image), odd.photo()) == 0


@pytest.mark.parametrize("make", [odd.huge_png, odd.huge_jpeg, odd.huge_heic])
def test_a_header_that_promises_too_many_pixels_is_refused_before_any_memory_is_taken(read, make):
    with pytest.raises(TooManyPixels, match="too large"):
        read(make())


def test_a_large_jpeg_counts_with_all_its_pixels_even_if_decoded_smaller(decoder):
    """A progressive JPEG needs memory for all its coefficients, whatever size comes out."""
    with pytest.raises(TooManyPixels):
        decoder.decode(odd.huge_jpeg(), exif_orientation=True, reduction=lambda _: 8)


@pytest.mark.parametrize("make", [odd.png, odd.webp, odd.gif, odd.bmp, odd.tiff, odd.progressive_jpeg, odd.tiled_heic])
def test_the_limit_is_the_decoders(make):
    """The picture has 135,300 pixels."""
    image = make()
    with Decoder(135_300) as just_enough, Decoder(135_299) as too_little:
        pixels = just_enough.decode(image, exif_orientation=True, reduction=lambda _: 1).pixels
        with pytest.raises(TooManyPixels, match="the picture is too large: it has more than 135299 pixels"):
            too_little.decode(image, exif_orientation=True, reduction=lambda _: 1)

    assert pixels.shape[0] * pixels.shape[1] == 135_300


@pytest.mark.timeout(20)
def test_of_many_broken_profiles_one_is_looked_at(read):
    """Each inflates to 4 MB; 2,000 of them took 23 seconds."""
    whole = odd.png()
    profile = odd.chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(4 * 1024 * 1024), 9)[:-6])

    assert difference(read(whole[:33] + 2_000 * profile + whole[33:]), odd.photo()) == 0


@pytest.mark.parametrize("options", [{"quality": 90}, {"lossless": True}])
@pytest.mark.parametrize("more", [b"EXIF\4\0\0\0abcd", b"VP8 \4\0\0\0abcd", b"\0" * 30])
def test_what_follows_a_webps_picture_changes_nothing(read, options, more):
    """In a file without the header that announces it; OpenCV would read on."""
    whole = odd.encoded(odd.photo(), "WEBP", **options)
    longer = whole[:4] + (len(whole) - 8 + len(more)).to_bytes(4, "little") + whole[8:] + more

    np.testing.assert_array_equal(read(longer), read(whole))


PRIMARIES = (31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)  # of Display P3, in 1/100,000


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"gAMA", struct.pack(">I", 45_455)), (b"cHRM", struct.pack(">8I", *PRIMARIES))],
        [(b"cICP", bytes([12, 13, 0, 1]))],
        [(b"sRGB", b"\0"), (b"cICP", bytes([12, 13, 0, 1]))],
    ],
    ids=["gAMA and cHRM", "cICP", "cICP beside sRGB"],
)
def test_a_png_in_other_primaries_is_seen_in_its_colours(read, chunks):
    """Of Display P3, in each way that a PNG has to say so without a profile."""
    whole = odd.png()
    in_p3 = whole[:33] + b"".join(odd.chunk(*chunk) for chunk in chunks) + whole[33:]
    profiled = odd.encoded(odd.photo(), "PNG", icc_profile=profiles.display_p3())

    assert difference(read(in_p3), odd.photo()) > 2
    assert np.abs(read(in_p3).astype(int) - read(profiled)).mean() < 2  # the curve of gAMA is not quite that of P3


NOTHING_LEFT = {
    "HEIC of one piece": odd.heic()[: len(odd.heic()) // 2],
    "BMP without pixels": odd.bmp()[:54],
    "PNG without data": odd.png()[:41],
}


@pytest.mark.parametrize("image", NOTHING_LEFT.values(), ids=NOTHING_LEFT)
def test_a_picture_of_which_nothing_is_left_is_refused_also_if_damage_is_wanted(decoder, image):
    """Decoders give black for it, which a model gives a label."""
    with pytest.raises(DamagedImage):
        decoder.decode(image, exif_orientation=True, reduction=lambda _: 1, strict=False)


@pytest.mark.parametrize("make", [odd.png, odd.bmp, odd.tiled_heic, odd.progressive_jpeg])
def test_of_a_picture_that_is_cut_short_what_is_left_is_shown_if_it_is_wanted(decoder, make):
    half = make()[: len(make()) // 2]
    pixels = decoder.decode(half, exif_orientation=True, reduction=lambda _: 1, strict=False).pixels

    assert pixels.shape == (300, 451, 3)
