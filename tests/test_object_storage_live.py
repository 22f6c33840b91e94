"""The service as ``make run`` starts it, with the real model and its pictures in an object store."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import requests

from contract.image_store.bucket_copies import BucketCopies
from contract.image_store.bucket_store import BucketStore
from tests.support.stack import Stack
from tests.test_privacy_live import classify, photo

if TYPE_CHECKING:
    from pathlib import Path

    from contract.image_store.bucket import Bucket
    from tests.support.object_store import ObjectStore

pytestmark = pytest.mark.long
TIMEOUT_S = 60


def names(bucket: Bucket) -> list[list[str]]:
    """Of the stored pictures, and of their copies."""
    return [
        [found.name for page in store.pages() for found in page]
        for store in (BucketStore(bucket), BucketCopies(bucket))
    ]


def test_a_picture_is_classified_shown_reported_and_deleted(object_store: ObjectStore, tmp_path: Path):
    prefix = uuid4().hex
    bucket = object_store.bucket(prefix)
    environment = {**object_store.environment, "IMAGE_STORE": object_store.place(prefix)}
    with Stack(tmp_path, **environment) as stack:
        assert "Ready in" in stack.printed, stack.printed
        image = photo(1)
        answer, again = classify(stack.url, image), classify(stack.url, image)
        link, name = stack.url + answer["display"], answer["image"]
        shown = requests.get(link, timeout=TIMEOUT_S)
        kept = names(bucket)
        report = {"filename": name, "correct_label": "lynx"}
        reported = requests.post(f"{stack.url}/feedback", data=report, timeout=TIMEOUT_S)
        in_feedback = list((tmp_path / "feedback" / "pictures").rglob(name))
        deleted = requests.delete(link, timeout=TIMEOUT_S)
        secrets = [part.environ().get("AWS_SECRET_ACCESS_KEY") for part in stack.parts("valkey")]

    assert (answer["cache"], again["cache"]) == ("miss", "hit")
    assert shown.status_code == 200
    assert shown.headers["Content-Type"] in {"image/jpeg", "image/png"}
    assert kept == [[name], [name]]
    assert (reported.ok, len(in_feedback)) == (True, 1)
    assert deleted.status_code == 204
    assert names(bucket) == [[], []]
    assert not (tmp_path / "uploads").exists()
    assert not (tmp_path / "copies").exists()
    assert set(secrets) == {None}
