"""Pictures that a candidate computes as well, although the current version has answered: how far the two agree."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from contract import keys
from contract.image_store import NAME
from contract.model_version import WantedModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.client import Pipeline

    from contract.messages import Classification

MOST_DISAGREEMENTS = 200  # that are kept of a candidate, the latest
KEPT_FOR_S = 30 * 86400
LONGEST_LABEL = 500  # characters


@dataclass(frozen=True, slots=True)
class Answered:
    """What a sender was answered: by which version (``ModelVersion.key``), the best label, and its score."""

    model: str
    label: str
    score: float

    def to_meta(self) -> dict[str, str | int]:
        """For a queued job's ``meta``, which holds texts and whole numbers."""
        return {"shadow_of": self.model, "shadow_label": self.label, "shadow_score": f"{self.score:.6f}"}

    @classmethod
    def from_meta(cls, meta: dict[str, Any]) -> Self | None:
        """What ``to_meta`` wrote; None if there is no such thing, or something that can't be so."""
        match meta:
            case {"shadow_of": str(model), "shadow_label": str(label), "shadow_score": str(score)}:
                try:
                    return cls(model, label[:LONGEST_LABEL], min(1.0, max(0.0, float(score))))
                except ValueError:
                    return None
        return None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A picture for which the two best labels differ."""

    picture: str
    answered: Answered
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """``disagreements`` are the latest, the latest first; the counts are of all since the candidate was named.

    ``failed`` are pictures that were answered, and that the candidate could not read, or was given up with.
    """

    agreed: int = 0
    disagreed: int = 0
    failed: int = 0
    disagreements: tuple[Disagreement, ...] = ()

    @classmethod
    def parse(cls, counts: Sequence[bytes | None], entries: Sequence[bytes]) -> Self:
        """What ``ask`` is answered; without what can't be so."""
        agreed, disagreed, failed = (int(count) if count and count.isdigit() else 0 for count in counts)
        found = (_disagreement(entry) for entry in entries)
        return cls(agreed, disagreed, failed, tuple(one for one in found if one is not None))


def record(pipe: Pipeline, candidate: str, picture: str, answered: Answered, found: Classification) -> None:
    """Add what a candidate found to the MULTI that ends its job."""
    best = found.labels[0]
    counts, listed = keys.shadow(candidate), keys.disagreements(candidate)
    agreed = best.label == answered.label
    pipe.hincrby(counts, "agreed" if agreed else "disagreed", 1)
    pipe.expire(counts, KEPT_FOR_S)
    if not agreed:
        text = json.dumps([picture, answered.model, answered.label, answered.score, best.label, round(best.score, 6)])
        pipe.lpush(listed, text)
        pipe.ltrim(listed, 0, MOST_DISAGREEMENTS - 1)
        pipe.expire(listed, KEPT_FOR_S)


def record_failure(pipe: Pipeline, candidate: str) -> None:
    """As ``record``, of a picture that the candidate could not compute."""
    pipe.hincrby(keys.shadow(candidate), "failed", 1)
    pipe.expire(keys.shadow(candidate), KEPT_FOR_S)


def ask(pipe: Pipeline, candidate: str) -> None:
    """Add two questions to a pipeline; ``Comparison.parse`` reads the answers."""
    pipe.hmget(keys.shadow(candidate), "agreed", "disagreed", "failed")
    pipe.lrange(keys.disagreements(candidate), 0, MOST_DISAGREEMENTS - 1)


def forget(pipe: Pipeline, candidate: str) -> None:
    """Begin anew: it is candidate again, or for the first time."""
    pipe.delete(keys.shadow(candidate), keys.disagreements(candidate))


def _disagreement(entry: bytes) -> Disagreement | None:
    try:
        match json.loads(entry):
            case [str(picture), str(model), str(answered), float(score), str(label), float(own_score)]:
                WantedModel.parse(model)
                f"{answered}{label}".encode()  # a ValueError for half a surrogate pair
                if NAME.fullmatch(picture) and 0 <= score <= 1 and 0 <= own_score <= 1:
                    return Disagreement(picture, Answered(model, answered, score), label, own_score)
    except (ValueError, RecursionError):
        pass
    return None
