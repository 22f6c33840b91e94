"""The history of a model: what has changed which of its versions is current, when, and by whose key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from contract import keys

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

MOST_KEPT = 500  # of one model
LONGEST_WORDS = 500  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change.

    Attributes:
        action: a word for it, as "reload".
        by: the name of the key, or of the part of the service, that has made it.
        words: what it was, in a sentence.
    """

    action: str
    by: str
    words: str


@dataclass(frozen=True, slots=True)
class RecordedChange:
    at: datetime
    change: Change


def record(pipe: Pipeline, name: str, change: Change) -> None:
    """Add it to the MULTI that makes the change."""
    fields: Any = {"action": change.action, "by": change.by, "words": change.words[:LONGEST_WORDS]}
    pipe.xadd(keys.changes(name), fields, maxlen=MOST_KEPT, approximate=True)


def latest(redis: Redis, name: str, count: int) -> list[RecordedChange]:
    """The latest changes, the latest first.

    Raises:
        RedisError: Redis does not answer.
    """
    entries: Any = redis.xrevrange(keys.changes(name), count=count)
    return parse(entries)


def parse(entries: Any) -> list[RecordedChange]:
    """What XREVRANGE answers, without what can't be so."""
    found = []
    for entry_id, fields in entries:
        text = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in fields.items()}
        try:
            at = datetime.fromtimestamp(int(entry_id.partition(b"-")[0]) / 1000, UTC)
        except (ValueError, OverflowError, OSError):  # somebody has made the time up: there is no such year
            continue
        change = Change(action=text.get("action", ""), by=text.get("by", ""), words=text.get("words", ""))
        found.append(RecordedChange(at, change))
    return found
