from __future__ import annotations

import pytest

from api.core.errors import NotAnImage, TooLarge, Undecodable
from api.http.upload import check
from contract.image_header import media_type
from tests.pictures import odd


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (odd.progressive_jpeg, "image/jpeg"), (odd.png, "image/png"), (odd.webp, "image/webp"),
        (odd.gif, "image/gif"), (odd.bmp, "image/bmp"), (odd.tiff, "image/tiff"), (odd.avif, "image/avif"),
        (odd.heic, "image/heic"), (odd.tiled_heic, "image/heic"),
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
        (odd.heic()[:200], Undecodable),
    ],
)
def test_what_no_worker_could_read_is_refused_before_it_is_queued(data, error):
    with pytest.raises(error):
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
