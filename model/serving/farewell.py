"""A worker that can't serve its model says so where the API can read it, without the places that its log names."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from contract import last_words
from contract.redis_clients import connect

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from model.settings import Settings

# An absolute path, up to its last part.
PLACE = re.compile(r"(?<![\w.])/(?:[^\s/:'\"]+/)*")


def say_why(settings: Settings, reason: str) -> None:
    """Leave ``reason`` in Redis; nothing happens if that does not answer, for there the API reads nothing either."""
    words = without_places(
        reason, [path for path in (settings.model_path, settings.models_dir, settings.labels_path) if path]
    )
    with suppress(RedisError), connect(settings.redis_address) as redis:
        last_words.leave(redis, words)


def without_places(text: str, paths: Iterable[Path]) -> str:
    """Only the names of files are left; folders are the operator's business.

    Args:
        paths: as they may stand in the text, even with spaces in them.
    """
    for path in paths:
        for place in (path, path.absolute(), path.resolve()):
            if place.name:
                text = text.replace(str(place), place.name).replace(f"{place.parent}/", "")
    return PLACE.sub("", text)
