"""``POST /detect`` that answers with the picture and the objects drawn on it, on a real service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
import requests
from PIL import Image

from tests.pictures import odd
from tests.support.detection_site import DETECTOR, DetectionSite, red_at
from tests.support.workers import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

BOX, OTHER = (100, 50, 300, 150), (400, 200, 600, 300)
BLACK = (0, 0, 0)


@pytest.fixture(scope="module")
def site(valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DetectionSite]:
    with DetectionSite(valkey, tmp_path_factory.mktemp("site")) as site:
        yield site


def drawn(site: DetectionSite, picture: bytes, accept: str = "*/*", **fields: str) -> requests.Response:
    return requests.post(
        f"{site.url}/detect", files={"file": picture}, data=fields, headers={"Accept": accept}, timeout=WAIT_S
    )


def pixels_of(answer: requests.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(BytesIO(answer.content)).convert("RGB")


def kept(site: DetectionSite) -> list[Path]:
    return [path for path in (site.folder / "copies").rglob("*") if path.is_file()]


def is_framed(shown: Image.Image, box: tuple[int, int, int, int]) -> bool:
    """Whether the lower edge of the box, where no name stands, is not as it was sent: red above white."""
    left, _, right, bottom = box
    line = [shown.getpixel(((left + right) // 2, bottom + offset)) for offset in (-1, 0, 1)]
    return any(colour not in {(255, 0, 0), (255, 255, 255)} for colour in line)


@pytest.mark.parametrize(
    ("accept", "fields", "content_type"),
    [
        ("*/*", {"draw": "true"}, "image/jpeg"),
        ("image/png", {"draw": "true"}, "image/png"),
        ("application/json", {"draw": "true"}, "image/jpeg"),
        ("image/jpeg", {}, "image/jpeg"),
        ("image/png", {}, "image/png"),
        ("image/*", {}, "image/jpeg"),
        ("image/png;q=0.5, image/jpeg;q=0.9", {}, "image/jpeg"),
        ("image/png, application/json;q=0.9", {}, "image/png"),
        ("image/png;q=0.5, application/json", {}, "application/json"),
        ("image/png", {"draw": "false"}, "application/json"),
        ("*/*", {}, "application/json"),
        ("text/html", {}, "application/json"),
    ],
)
def test_a_picture_is_answered_to_who_asks_for_one(site, accept, fields, content_type):
    answer = drawn(site, red_at(BOX), accept, **fields)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == content_type


def test_it_is_the_picture_with_a_frame_around_each_object(site):
    answer = drawn(site, red_at(BOX, noise=1), "image/png")
    shown = pixels_of(answer)

    assert shown.size == (640, 320)
    assert is_framed(shown, BOX)
    assert shown.getpixel((200, 100)) == (255, 0, 0)
    assert shown.getpixel((600, 300)) == (255, 255, 255)
    assert answer.headers["X-Model"] == f"{DETECTOR}@{site.digest[:12]}"
    assert answer.headers["X-Detections"] == "1"
    assert answer.headers["Content-Disposition"] == "inline; filename=detections.png"


def test_it_shows_the_objects_that_the_json_would_list_and_no_others(site):
    picture = red_at(BOX, noise=2)
    wishes: list[dict[str, str]] = [{}, {"min_score": "0.76"}, {"labels": "blue"}, {"labels": "red"}]
    listed = [len(site.post("/detect", picture, **wish).json()["detections"]) for wish in wishes]
    answers = [drawn(site, picture, "image/png", **wish) for wish in wishes]

    assert listed == [1, 0, 0, 1]
    assert [is_framed(pixels_of(answer), BOX) for answer in answers] == [bool(number) for number in listed]
    assert [answer.headers["X-Detections"] for answer in answers] == [str(number) for number in listed]


def test_those_who_ask_for_the_same_share_one_drawing(site):
    picture, before = red_at(BOX, noise=3), len(kept(site))
    with ThreadPoolExecutor(4) as senders:
        answers = list(senders.map(lambda _: drawn(site, picture, "image/png"), range(4)))
    again = drawn(site, picture, "image/png")

    assert {answer.content for answer in answers} == {again.content}
    assert len(kept(site)) == before + 1


def test_who_deletes_a_picture_deletes_what_was_drawn_on_it(site):
    picture, before = red_at(BOX, noise=5), set(kept(site))
    assert drawn(site, picture, "image/png").ok
    assert drawn(site, picture, "image/jpeg").ok
    assert len(set(kept(site)) - before) == 2
    page = requests.post(
        f"{site.url}/", files={"file": picture}, headers={"Accept": "application/json"}, timeout=WAIT_S
    )
    assert requests.delete(site.url + page.json()["display"], timeout=WAIT_S).status_code == 204

    assert set(kept(site)) == before


@pytest.mark.parametrize(("fields", "status"), [({"draw": "perhaps"}, 400), ({"min_score": "2", "draw": "true"}, 400)])
def test_errors_are_told_in_words_even_to_who_wants_a_picture(site, fields, status):
    wrong = drawn(site, red_at(BOX), "image/png", **fields)
    no_picture = drawn(site, b"no picture", "image/png", draw="true")
    damaged = drawn(site, red_at(BOX, noise=6)[:-5000], "image/png", draw="true")

    assert [answer.status_code for answer in (wrong, no_picture, damaged)] == [status, 415, 422]
    assert {answer.headers["Content-Type"] for answer in (wrong, no_picture, damaged)} == {"application/problem+json"}


def test_what_is_there_of_a_damaged_picture_is_shown_to_who_takes_that(site):
    answer = drawn(site, red_at(BOX, noise=7)[:-5000], "image/png", strict="false")

    assert is_framed(pixels_of(answer), BOX)


def test_a_batch_is_not_drawn(site):
    answer = site.post("/detect/batch", red_at(BOX), draw="true")

    assert answer.status_code == 400
    assert answer.json()["detail"] == "draw: a batch is answered in JSON; send the pictures to /detect, one by one"


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (1, 3000)])
def test_a_picture_of_any_shape_is_answered(site, size):
    picture = odd.encoded(Image.new("RGB", size, "red"), "PNG")
    shown = pixels_of(drawn(site, picture, "image/png"))

    assert shown.size == (min(size[0], 4096), min(size[1], 4096))


def test_a_picture_that_is_read_elsewhere_is_drawn_on_too(site):
    """Unusual ones are, by a process of their own."""
    picture = Image.open(BytesIO(red_at(BOX, noise=8)))
    answer = drawn(site, odd.encoded(picture, "TIFF", compression="tiff_lzw"), "image/png")

    assert is_framed(pixels_of(answer), BOX)
