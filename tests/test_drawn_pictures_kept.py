"""What is left of a drawn picture where nothing is to be left: no picture is kept, or its sender shares nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from api.keys.key import Key, Scope, digest_of
from api.keys.key_file import line_of, replace_line
from tests.support.detection_site import DetectionSite, red_at
from tests.support.workers import WAIT_S

if TYPE_CHECKING:
    from pathlib import Path


BOX = (100, 50, 300, 150)
PNG = b"\x89PNG"


def drawn(site: DetectionSite, key: str = "") -> bytes:
    headers = {"Accept": "image/png"} | ({"Authorization": f"Bearer {key}"} if key else {})
    answer = requests.post(f"{site.url}/detect", files={"file": red_at(BOX)}, headers=headers, timeout=WAIT_S)
    assert answer.status_code == 200, answer.text
    return answer.content


def kept(site: DetectionSite, folder: str) -> list[Path]:
    return [path for path in (site.folder / folder).glob("??/*") if path.is_file()]


def test_where_no_picture_is_kept_no_drawn_one_is_either(valkey, tmp_path):
    with DetectionSite(valkey, tmp_path, STORE_UPLOADS="none") as site:
        assert [drawn(site)[:4] for _ in range(2)] == [PNG, PNG]

        assert kept(site, "copies") == kept(site, "uploads") == []


@pytest.mark.parametrize("private", [True, False])
def test_what_is_drawn_for_a_private_key_serves_nobody_else(valkey, tmp_path, private):
    keys = tmp_path / "keys"
    replace_line(keys, "one", line_of(Key("one", digest_of("first-key"), frozenset(Scope), private=private)))
    with DetectionSite(valkey, tmp_path, API_KEYS_FILE=str(keys)) as site:
        assert [drawn(site, "first-key")[:4] for _ in range(2)] == [PNG, PNG]

        assert len(kept(site, "copies")) == (0 if private else 1)
        assert len(kept(site, "uploads")) == 1  # as STORE_UPLOADS says
