"""The check of a candidate: its report, as it stands in Redis."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from contract import keys

if TYPE_CHECKING:
    from redis import Redis

    from contract.model_version import ModelVersion

KEPT_FOR_S = 90 * 86400
RUNS_FOR_S = 10  # after which a check that says nothing has ended without a report


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreed:
    """One picture on which the two versions differ.

    Attributes:
        picture: its name in the image store.
        expected: the label that it has; "" if nobody has said.
        current, candidate: the best labels of the two versions.
    """

    picture: str
    expected: str
    current: str
    candidate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The figures of one set of pictures.

    Attributes:
        pictures: how many both versions have answered.
        right_current, right_candidate: of these, how many got their label; None for pictures without labels.
        only_current, only_candidate: how many got it from one of the two alone.
        agreed: how many got the same label from both.
        difference, low, high: accuracy of the candidate less that of the current version, -1 to 1, and its 95%
            interval.
    """

    pictures: int
    agreed: int
    right_current: int | None = None
    right_candidate: int | None = None
    only_current: int = 0
    only_candidate: int = 0
    difference: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check has found.

    Attributes:
        passed: whether the candidate may be promoted; ``verdict`` says why, in a sentence with figures.
        labelled: of the operator's folder of labelled pictures.
        feedback: of reports with a correct label, which never decide; None if there are none.
        stored: of pictures that were sent lately; None if there are none.
        mean_ms_current, mean_ms_candidate, p99_ms_current, p99_ms_candidate: time of a worker a picture.
        missing_labels: of the current version's labels, those that the candidate lacks.
        disagreements: the pictures on which they differ.
    """

    passed: bool
    verdict: str
    labelled: Compared
    feedback: Compared | None = None
    stored: Compared | None = None
    mean_ms_current: float
    mean_ms_candidate: float
    p99_ms_current: float
    p99_ms_candidate: float
    missing_labels: tuple[str, ...] = ()
    disagreements: tuple[Disagreed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check that runs, has ended, or was broken off.

    Attributes:
        against: ``ModelVersion.key`` of the current version at its begin.
        digests: of the candidate's bundles that are served.
        done, of: progress, in pictures.
        began: ISO 8601.
        by: the name of the key that began it.
        fault: why it has ended without a report; "" otherwise.
        report: at its end.
    """

    against: str
    digests: tuple[str, ...]
    done: int
    of: int
    began: str
    by: str
    fault: str = ""
    report: Report | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def parse(cls, raw: bytes | None) -> Self | None:
        """None if there is none, or it is not ours."""
        if not raw:
            return None
        try:
            found = json.loads(raw)
            report = found.pop("report")
            digests = tuple(map(str, found.pop("digests")))
            return cls(**found, digests=digests, report=_report(report) if report else None)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


def _report(found: dict[str, Any]) -> Report:
    labelled, feedback, stored = (found.pop(name) for name in ("labelled", "feedback", "stored"))
    missing, disagreements = found.pop("missing_labels"), found.pop("disagreements")
    return Report(
        **found,
        labelled=Compared(**labelled),
        feedback=Compared(**feedback) if feedback else None,
        stored=Compared(**stored) if stored else None,
        missing_labels=tuple(map(str, missing)),
        disagreements=tuple(Disagreed(**one) for one in disagreements),
    )


def read(redis: Redis, candidate: ModelVersion) -> Check | None:
    """The latest check of a version, whatever has become of it.

    Raises:
        RedisError: Redis does not answer.
    """
    raw: Any = redis.get(keys.check(candidate.key))
    return Check.parse(raw)


def write(redis: Redis, candidate: ModelVersion, check: Check) -> None:
    """Keep it in place of what was there.

    Raises:
        RedisError: Redis does not answer or refuses to write.
    """
    redis.set(keys.check(candidate.key), check.to_json(), ex=KEPT_FOR_S)
