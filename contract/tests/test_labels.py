from __future__ import annotations

import pytest

from contract import keys
from contract.labels import KEPT_FOR_S, publish, read
from contract.roster import ALIVE_FOR_S

MODEL, DIGEST = "resnet50", "d" * 64
LABELS = ("Egyptian_cat", "crane", "crane", "crème_brûlée")


def test_published_labels_come_back_by_class_index(redis):
    """Two classes of one name are two classes, and a label is any text."""
    assert read(redis, MODEL, DIGEST) is None

    publish(redis, MODEL, DIGEST, LABELS)
    assert read(redis, MODEL, DIGEST) == LABELS
    assert read(redis, MODEL, "e" * 64) is None


def test_labels_live_while_somebody_publishes_them_and_outlive_a_workers_card(redis):
    """Else Redis would fill with the labels of every model ever served, or a live worker's be missing for a moment."""
    publish(redis, MODEL, DIGEST, LABELS)
    redis.expire(keys.labels(MODEL, DIGEST), 1)
    publish(redis, MODEL, DIGEST, LABELS)

    assert ALIVE_FOR_S < redis.ttl(keys.labels(MODEL, DIGEST)) <= KEPT_FOR_S
    assert read(redis, MODEL, DIGEST) == LABELS


@pytest.mark.parametrize("forged", [b"", b"{", b"\xff", b'{"0": "cat"}', b'["cat", 7]', b"null"])
def test_what_is_no_list_of_labels_is_passed_over(redis, forged):
    """A person's page must not break on what somebody wrote by hand, or on another version's words."""
    redis.set(keys.labels(MODEL, DIGEST), forged)

    assert read(redis, MODEL, DIGEST) is None
