"""JSON answers with pictures in base64."""

from __future__ import annotations

import io
import json
from base64 import b64decode

import pytest

from api.http.pictures_in_json import PIECE_BYTES, json_with_pictures


@pytest.mark.parametrize("size", [0, 1, 2, 3, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 2])
def test_a_picture_of_any_size_comes_whole_and_as_long_as_was_said(size):
    data = bytes(number % 251 for number in range(size))
    response = json_with_pictures({"decision": None}, "images", {"img": io.BytesIO(data), "other": io.BytesIO(b"x")})
    told = response.content_length
    body = response.get_data()

    assert told == len(body)
    found = json.loads(body)
    assert found["decision"] is None
    assert (b64decode(found["images"]["img"]), b64decode(found["images"]["other"])) == (data, b"x")


def test_a_picture_is_sent_from_where_its_file_is_on():
    file = io.BytesIO(b"head and picture")
    file.seek(9)

    assert b64decode(json_with_pictures({}, "images", {"img": file}).get_json()["images"]["img"]) == b"picture"


def test_no_more_than_a_piece_is_read_before_it_is_sent():
    file = io.BytesIO(bytes(10 * PIECE_BYTES))
    pieces = iter(json_with_pictures({}, "images", {"img": file}).response)
    next(pieces)
    next(pieces)

    assert file.tell() == PIECE_BYTES


def test_files_of_an_answer_that_nobody_reads_are_closed():
    files = {"img": io.BytesIO(b"1"), "img_drawn": io.BytesIO(b"2")}
    json_with_pictures({}, "images", files).close()

    assert [file.closed for file in files.values()] == [True, True]
