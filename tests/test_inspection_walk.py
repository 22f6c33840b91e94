"""The walk of docs/inspection.md, as it is written, on a real service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.camera import AdaptedCamera, answer, sends
from tests.support.detection_site import DetectionSite, red_at
from tests.support.stack import ROOT
from tests.support.terminal import Terminal, blocks
from tests.support.workers import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Server

PAGE = (ROOT / "docs" / "inspection.md").read_text()
PARTS = {"good": red_at((100, 50, 300, 150)), "moved": red_at((140, 50, 340, 150)), "missing": red_at()}


@pytest.fixture(scope="module")
def site(valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DetectionSite]:
    """With the page's own pattern, and a camera that sees a good part."""
    patterns = tmp_path_factory.mktemp("patterns")
    found = re.search(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    (patterns / "plate.yaml").write_text(found[1])
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


def test_every_command_of_the_walk_answers_what_the_page_says(site, tmp_path):
    for name, picture in PARTS.items():
        (tmp_path / f"{name}.png").write_bytes(picture)
    ran = 0
    with Terminal(tmp_path, site.api.address[1]) as terminal:
        for block in blocks(PAGE):
            for command, shown in block.commands if block.mark == "run by tests/test_inspection_walk.py" else []:
                found = terminal.run(command)
                ran += 1

                assert found.status == 0, f"{command}\n{found.text}"
                pattern = re.escape(shown).replace(re.escape("..."), ".*")
                assert re.fullmatch(pattern, found.text, re.DOTALL), f"{command}\n{found.text}"
    assert ran == 7


def test_an_inspection_and_detect_share_one_computation(site):
    picture = red_at((100, 50, 300, 150), noise=7)
    caches = [site.post(path, picture).headers["X-Cache"] for path in ("/detect", "/v1/inspections", "/inference")]

    assert caches == ["miss", "hit", "hit"]
