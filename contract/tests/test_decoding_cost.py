"""What a picture is expected to cost is seen in its header and its scans."""

from __future__ import annotations

import math
from io import BytesIO

import pytest
from PIL import Image

from contract.decoding_cost import FACTORS, bounded, decoding_cost
from tests.pictures.costly import interlaced_png, jpeg_of_empty_scans

COSTLY_MS = 500  # the default of COSTLY_PICTURE_MS


def encoded(form: str, side: int, **options: object) -> bytes:
    file = BytesIO()
    Image.new("RGB", (side, side)).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
def test_an_ordinary_photo_of_a_phone_is_not_costly(progressive):
    assert decoding_cost(encoded("JPEG", 3500, progressive=progressive)).ms < COSTLY_MS


def test_every_scan_of_a_jpeg_is_a_pass_over_it():
    """98 empty scans of a large picture are 100 kB, and cost a worker seconds."""
    usual, many = encoded("JPEG", 6500, progressive=True), jpeg_of_empty_scans(6500, 6500)

    assert len(many) < 150_000
    assert decoding_cost(many).ms > 1000 > decoding_cost(usual).ms
    assert decoding_cost(many).kind == decoding_cost(usual).kind == "progressive"


def test_a_large_interlaced_png_is_costly_however_small_its_file():
    large = interlaced_png(6500, 6500)

    assert len(large) < 50_000
    assert decoding_cost(large).ms > COSTLY_MS
    assert decoding_cost(large).kind == "interlaced"
    assert decoding_cost(encoded("PNG", 1000)).ms < COSTLY_MS


def test_a_bmp_of_runs_costs_more_than_one_of_pixels():
    plain = encoded("BMP", 2000)
    runs = plain[:30] + b"\x01" + plain[31:]

    assert decoding_cost(runs).ms > 10 * decoding_cost(plain).ms


def test_what_has_no_readable_header_is_not_judged_here():
    """Whoever takes uploads has refused it already."""
    assert decoding_cost(b"\x89PNG\r\n\x1a\n").ms == 0
    assert decoding_cost(b"text").ms == 0


def test_nobody_can_teach_the_service_that_what_is_costly_is_cheap():
    assert [bounded(factor) for factor in (0.0001, 1.5, 1e9, math.inf)] == [FACTORS[0], 1.5, FACTORS[1], FACTORS[1]]
    assert bounded(math.nan) == 1
