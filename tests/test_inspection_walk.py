"""The walk of docs/inspection.md, as it is written, on a real service."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
import requests
from PIL import Image

from model.tests import detectors
from tests.support.camera import AdaptedCamera, answer, sends
from tests.support.detection_site import DetectionSite, red_at
from tests.support.stack import ROOT
from tests.support.terminal import Terminal, blocks
from tests.support.workers import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

PAGE = (ROOT / "docs" / "inspection.md").read_text()
RUN = "run by tests/test_inspection_walk.py"
PARTS = {"good": red_at((100, 50, 300, 150)), "moved": red_at((140, 50, 340, 150)), "missing": red_at()}


@pytest.fixture(scope="module")
def patterns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's own pattern, and the one that it learns from ten pictures of good parts."""
    folder = tmp_path_factory.mktemp("line")
    good, others, patterns = (folder / name for name in ("good", "others", "patterns"))
    for made in (good, others, patterns):
        made.mkdir()
    for n in range(10):
        (good / f"part{n}.png").write_bytes(red_at((90 + 3 * n, 44 + n, 290 + 3 * n, 144 + n), noise=n))
    for name, picture in PARTS.items():
        (others / f"{name}.png").write_bytes(picture)
    detector = detectors.write_bundle(tmp_path_factory.mktemp("models") / "reds")
    with Terminal(folder, 0, MODELS=str(detector)) as terminal:
        assert run_commands(terminal, ".venv/bin/python -m model.patterns") == 2
    found = re.search(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    (patterns / "plate.yaml").write_text(found[1])
    return patterns


@pytest.fixture(scope="module")
def site(patterns: Path, valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DetectionSite]:
    """With both patterns, and a camera that sees a good part."""
    with (
        AdaptedCamera(sends(answer(PARTS["good"], "Content-Type: image/png"))) as camera,
        DetectionSite(
            valkey,
            tmp_path_factory.mktemp("site"),
            PATTERN_DIR=str(patterns),
            CAMERA_URL=camera.url,
            CAMERA_TIMEOUT_S=str(WAIT_S),
        ) as site,
    ):
        yield site


def run_commands(terminal: Terminal, program: str) -> int:
    """Run the page's commands of one program; each prints what the page says. Returns how many there are."""
    of_page = [found for block in blocks(PAGE) if block.mark == RUN for found in block.commands]
    commands = [(command, shown) for command, shown in of_page if command.startswith(program)]
    for command, shown in commands:
        found = terminal.run(command)

        assert found.status == int("evaluate" in command), f"{command}\n{found.text}"
        pattern = re.escape(shown).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, found.text, re.DOTALL), f"{command}\n{found.text}"
    return len(commands)


def test_every_command_of_the_walk_answers_what_the_page_says(site, tmp_path):
    for name, picture in PARTS.items():
        (tmp_path / f"{name}.png").write_bytes(picture)
    with Terminal(tmp_path, site.api.address[1]) as terminal:
        assert run_commands(terminal, "curl") == 7


@pytest.mark.parametrize(("part", "reason"), [("good", None), ("moved", "out of place"), ("missing", "missing")])
def test_the_pattern_that_was_learnt_decides_on_the_service_too(site, part, reason):
    found = site.post("/v1/inspections", PARTS[part], pattern="washer").json()

    assert found["decision"] is (reason is None)
    assert [finding["state"] for finding in found["expected"]] == [reason or "found"]


def test_an_inspection_and_detect_share_one_computation(site):
    picture = red_at((100, 50, 300, 150), noise=7)
    paths = ("/detect", "/v1/inspections?pattern=plate", "/inference")
    caches = [site.post(path, picture).headers["X-Cache"] for path in paths]

    assert caches == ["miss", "hit", "hit"]


# What was found, drawn on the picture


def inspected(site: DetectionSite, picture: bytes) -> dict[str, Any]:
    answer = site.post("/v1/inspections", picture, pattern="plate")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def drawn(site: DetectionSite, inspection: dict[str, Any]) -> requests.Response:
    address = f"{site.url}/v1/inspections/drawn/{inspection['id']}"
    return requests.get(address, headers={"Accept": "image/png"}, timeout=WAIT_S)


def upload_of(site: DetectionSite, inspection: dict[str, Any]) -> Path:
    name = str(inspection["picture"])
    return site.folder / "uploads" / name[:2] / name


def test_an_inspection_has_a_picture_of_what_was_found_also_when_the_upload_is_long_gone(site):
    done = inspected(site, red_at((140, 50, 340, 150), noise=8))
    upload_of(site, done).unlink()
    answer = drawn(site, done)
    shown = Image.open(BytesIO(answer.content)).convert("RGB")

    assert done["links"]["drawn"] == f"/v1/inspections/drawn/{done['id']}"
    assert (answer.status_code, answer.headers["X-Detections"]) == (200, "1")
    assert answer.headers["Content-Disposition"] == f"inline; filename=inspection-{done['id']}.png"
    assert shown.size == (640, 320)
    assert any(shown.getpixel((240, 150 + offset)) not in {(255, 0, 0), (255, 255, 255)} for offset in (-1, 0, 1))
    assert requests.get(site.url + done["links"]["drawn"], timeout=WAIT_S).headers["Content-Type"] == "image/jpeg"


def test_nothing_is_drawn_of_a_picture_that_was_deleted(site):
    picture = red_at((140, 50, 340, 150), noise=9)
    done = inspected(site, picture)
    assert drawn(site, done).status_code == 200
    page = requests.post(
        f"{site.url}/", files={"file": picture}, headers={"Accept": "application/json"}, timeout=WAIT_S
    )
    assert requests.delete(site.url + page.json()["display"], timeout=WAIT_S).status_code == 204

    assert drawn(site, done).status_code == 404
    assert not upload_of(site, done).exists()
    assert list((site.folder / "copies").rglob(f"{done['picture']}*")) == []


def test_an_inspection_that_nobody_knows_is_not_drawn(site):
    assert drawn(site, {"id": "0" * 16}).status_code == 404
    assert drawn(site, {"id": "pictures"}).status_code == 404
