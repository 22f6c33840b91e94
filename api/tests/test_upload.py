from __future__ import annotations

import re

import pytest

from api.core.encoded_picture import check
from api.core.errors import InvalidUpload, NotAnImage, TooLarge, Undecodable
from contract.image_header import media_type
from tests.pictures import headers, odd


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (odd.progressive_jpeg, "image/jpeg"), (odd.png, "image/png"), (odd.webp, "image/webp"),
        (odd.gif, "image/gif"), (odd.bmp, "image/bmp"), (odd.tiff, "image/tiff"), (odd.avif, "image/avif"),
        (odd.heic, "image/heic"), (odd.tiled_heic, "image/heic"), (headers.big_tiff, "image/tiff"),
        (headers.big_endian_big_tiff, "image/tiff"), (headers.avif_sequence, "image/avif"),
        (headers.avif_without_main_picture, "image/avif"), (headers.avif_with_notes_behind_its_pixels, "image/avif"),
        (headers.gif_with_a_frame_over_the_edge, "image/gif"), (headers.tiny_webp, "image/webp"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)  # fmt: skip
def test_supported_formats_pass_and_are_known_by_their_content(make, expected):
    """Never by what the sender calls them."""
    data = make()
    check(data, max_pixels=1_000_000)

    assert media_type(data) == expected


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotAnImage),
        (b"\xff", NotAnImage),
        (odd.text_as_jpeg(), NotAnImage),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", NotAnImage),
        (b"%!PS-Adobe-3.0 EPSF-3.0", NotAnImage),
        (b"RIFF\x00\x00\x00\x00WAVE", NotAnImage),
        (b"\xff\xd8\xff", Undecodable),
        (b"\x89PNG\r\n\x1a\n", Undecodable),
        (b"GIF89a", Undecodable),
        (b"BM" + bytes(60), Undecodable),
        (b"II*\0" + b"\xff" * 100, Undecodable),
        (odd.zero_by_zero_png(), Undecodable),
        (odd.huge_png(), TooLarge),
        (odd.huge_jpeg(), TooLarge),
        (odd.huge_heic(), TooLarge),
        (headers.tiff_with_huge_tiles(), TooLarge),
        (odd.heic()[:200], Undecodable),
    ],
)
def test_what_no_worker_could_read_is_refused_before_it_is_queued(data, error):
    with pytest.raises(error):
        check(data, max_pixels=50_000_000)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"GIF89a", "the picture is damaged: its header is cut short"),
        (odd.zero_by_zero_png(), "the picture is damaged: it has no pixels"),
        (headers.gif_without_a_frame(), "the picture is damaged: the GIF has no frame"),
        (odd.tiff_with_endless_entries(), "a TIFF whose directory has 60000 entries is not supported; 4096 are read"),
        (odd.avif_with_endless_boxes(), "a picture with more than 3000 boxes in it is not supported"),
        (b"BM" + bytes(60), "a BMP with a header of 0 bytes is not supported"),
        (headers.jpeg_with_its_height_at_the_end(), "height stands behind its first scan is not supported"),
        (odd.huge_png(), "the picture is too large: 30000x30000 pixels; at most 50000000 are taken"),
        (odd.text_as_jpeg(), "not a picture in a supported format"),
    ],
)
def test_the_message_says_whether_a_picture_is_damaged_not_supported_or_too_large(data, message):
    """Its sender can do something about each, but not the same."""
    with pytest.raises(InvalidUpload, match=re.escape(message)):
        check(data, max_pixels=50_000_000)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "name", [name for name in odd.ENDLESS if not name.startswith("png") and not name.endswith("after_its_scan")]
)
def test_an_endless_header_is_refused_without_reading_all_of_it(name):
    """Headers are read between requests: one that takes seconds stops every other request of the process."""
    with pytest.raises(Undecodable):
        check(odd.ENDLESS[name](), max_pixels=50_000_000)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "make",
    [
        odd.png_with_endless_profiles, odd.png_with_endless_data_chunks, odd.png_with_inflating_texts,
        odd.jpeg_with_endless_comments_after_its_scan,
    ],
)  # fmt: skip
def test_nothing_after_the_size_is_checked(make):
    """The worker refuses it, which is made for that."""
    check(make(), max_pixels=50_000_000)
