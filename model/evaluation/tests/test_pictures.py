"""The bench that holds the decoder against Pillow: it must see what is wrong, and nothing else."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from contract.limits import DEFAULT_MAX_PIXELS
from model.evaluation.pictures import __main__ as command
from model.evaluation.pictures.beside import Bench
from model.evaluation.pictures.file import LOSSY_LIMIT, File
from model.evaluation.pictures.variants import FAMILIES, variants
from tests.pictures import odd


@pytest.fixture(scope="module")
def bench():
    with Bench(DEFAULT_MAX_PIXELS) as bench:
        yield bench


@pytest.fixture
def photo():
    """A file that both decoders read."""
    shown = np.asarray(odd.photo())
    return File(
        format="JPEG", colour="RGB", name="Chelsea", image=odd.CHELSEA.read_bytes(), shown=shown, limit=LOSSY_LIMIT
    )


def test_every_format_that_the_service_reads_is_in_the_table():
    formats = {family.format for family in FAMILIES}

    assert formats == {"JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"}


@pytest.mark.long
def test_pillow_sees_what_was_encoded(bench):
    """Else the bench would take a fault of its own, or of the encoder, for the decoder's."""
    files = list(islice(variants(), 0, None, 7))

    comparisons = bench.compare(files).comparisons

    assert [one.file.name for one in comparisons if one.viewer_errs or one.viewer_refusal] == []


def test_a_right_answer_has_no_fault(bench, photo):
    (comparison,) = bench.compare([photo]).comparisons

    assert comparison.fault is None
    assert comparison.refusal is None
    assert not comparison.sandboxed


def test_another_picture_than_was_encoded_is_a_fault_even_if_pillow_sees_it_too(bench, photo):
    white = replace(photo, shown=np.full_like(photo.shown, 255))

    (comparison,) = bench.compare([white]).comparisons

    assert "from what was encoded, as is Pillow" in comparison.fault


def test_a_picture_that_lies_on_its_side_is_a_fault(bench, photo):
    (comparison,) = bench.compare([replace(photo, shown=np.rot90(photo.shown))]).comparisons

    assert comparison.from_shown == float("inf")
    assert comparison.fault is not None


def test_who_read_a_picture_is_known(bench, photo):
    gif = replace(photo, image=odd.gif(), shown=None)

    first, second = bench.compare([photo, gif]).comparisons

    assert (first.sandboxed, second.sandboxed) == (False, True)


def test_a_folder_of_ones_own_is_read_with_all_folders_in_it(tmp_path, monkeypatch, capsys):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "cat.JPG").write_bytes(odd.CHELSEA.read_bytes())
    (tmp_path / "scan.tif").write_bytes(odd.tiff())
    (tmp_path / "text.png").write_bytes(odd.text_as_jpeg())
    (tmp_path / "notes.txt").write_text("no picture")
    monkeypatch.setattr(sys, "argv", ["pictures", str(tmp_path)])

    assert command.main() == 0
    report = capsys.readouterr().out
    assert "2 by both decoders, 1 by neither, 0 by\n  Pillow alone, 0 by ours alone" in report
    assert "| JPEG | any | 1 | 1 | 0 | 0 |" in report
    assert "Another picture: none" in report
