"""What the running service, with its real workers and folders, keeps and shows of a picture, and to whom."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
import requests
from PIL import Image
from redis import Redis

from contract import keys
from tests.pictures import odd
from tests.support.workers import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stack import Stack

TIMEOUT_S = 60
PLACE = "a garden that is nobody else's business"
TURNED_RIGHT = 6  # EXIF's number for a photo to be turned by a quarter


def photo(seed: int) -> bytes:
    """As phones write it: on its side, with the place where it was taken. If upright, blue is above, red below."""
    lying = Image.new("RGB", (96, 64), (200, seed, 0))
    lying.paste((0, seed, 200), (0, 0, 48, 64))
    exif = Image.Exif()
    exif[0x0112] = TURNED_RIGHT
    exif[0x010E] = PLACE
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    noise = Image.effect_noise((96, 64), 40).convert("RGB")
    return odd.encoded(Image.blend(lying, noise, 0.2), "JPEG", exif=exif, quality=95)


def classify(url: str, image: bytes) -> dict[str, Any]:
    answer = requests.post(
        f"{url}/", files={"file": ("photo.jpg", image)}, headers={"Accept": "application/json"}, timeout=TIMEOUT_S
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def get(url: str) -> requests.Response:
    return requests.get(url, timeout=TIMEOUT_S)


def test_a_shown_picture_is_upright_and_says_nothing_of_its_place(service_url):
    """Several ask at once, as browsers do: one copy is made, and all get it."""
    answer = classify(service_url, photo(1))
    with ThreadPoolExecutor(6) as browsers:
        shown = list(browsers.map(get, [service_url + answer["display"]] * 6))
    copy = Image.open(BytesIO(shown[0].content))

    assert {response.status_code for response in shown} == {200}
    assert len({response.content for response in shown}) == 1
    assert copy.size == (64, 96)
    top, bottom = (copy.convert("RGB").resize((1, 3)).getpixel((0, row)) for row in (0, 2))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert (top[2] > top[0], bottom[0] > bottom[2]) == (True, True)
    assert dict(copy.getexif()) == {}
    assert PLACE.encode() not in shown[0].content


def test_who_sent_a_picture_deletes_it_with_its_link(service_url, stack: Stack):
    image = photo(2)
    answer = classify(service_url, image)
    link, name = service_url + answer["display"], answer["image"]
    assert classify(service_url, image)["cache"] == "hit"
    assert get(link).status_code == 200
    requests.post(f"{service_url}/feedback", data={"filename": name, "correct_label": "lynx"}, timeout=TIMEOUT_S)
    assert len(files_of(stack.data_dir, name)) == 3
    deleted = requests.delete(link, timeout=TIMEOUT_S)

    assert deleted.status_code == 204
    assert files_of(stack.data_dir, name) == []
    assert get(link).status_code == 404
    assert classify(service_url, image)["cache"] == "miss"


def files_of(folder: Path, name: str) -> list[Path]:
    return list(folder.rglob(f"*{name}*"))


def test_without_a_link_nobody_deletes(service_url):
    answer = classify(service_url, photo(3))

    assert requests.delete(f"{service_url}/display/{answer['image']}", timeout=TIMEOUT_S).status_code == 403
    assert get(service_url + answer["display"]).status_code == 200


def test_all_that_the_service_writes_is_for_its_owner_alone(service_url, stack: Stack):
    """Pictures, copies, reports, the queue's log, the logs, the secret."""
    classified = classify(service_url, photo(4))
    get(service_url + classified["display"])
    report = {"filename": classified["image"], "correct_label": "lynx"}
    requests.post(f"{service_url}/feedback", data=report, timeout=TIMEOUT_S)
    written = {path: stat.S_IMODE(path.lstat().st_mode) for path in stack.data_dir.rglob("*")}

    assert {path.name for path in written if written[path] & 0o077} == set()
    assert {"uploads", "copies", "feedback", "feedback.csv", "link-secret", "logs", "queue"} <= {
        path.name for path in written
    }


@pytest.mark.long
def test_while_no_worker_makes_copies_a_picture_comes_later(service_url, stack: Stack):
    """As during an upgrade, with workers of the version before: no job is sent that they would refuse."""
    answer = classify(service_url, photo(5))
    workers = stack.parts("model.worker")
    with Redis.from_url(stack.operator_url) as redis:
        for worker in workers:
            worker.suspend()
        try:
            model = answer["model"]
            for entry in redis.keys(f"worker:{model}:*"):
                redis.hdel(entry, "copies")
                redis.expire(entry, TIMEOUT_S)
            redis.zadd(
                keys.workers(model), dict.fromkeys(redis.zrange(keys.workers(model), 0, -1), redis.time()[0] + 60)
            )
            eventually(lambda: get(service_url + answer["display"]).status_code == 503, "it says so")
            response = get(service_url + answer["display"])
        finally:
            for worker in workers:
                worker.resume()

    assert (response.status_code, "Retry-After" in response.headers) == (503, True)
    eventually(lambda: get(service_url + answer["display"]).status_code == 200, "it is shown again")
