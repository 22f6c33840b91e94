"""The check of a candidate: its progress and its report, as they stand in Redis.

Whoever runs one renews a second key while it does, so that of a check whose process has died everybody sees that, and
another can begin.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from redis.exceptions import WatchError

from contract import keys

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

    from contract.model_version import ModelVersion

KEPT_FOR_S = 90 * 86400
RUNS_FOR_S = 10  # after which a check that says nothing has ended without a report
BROKEN_OFF = "it was broken off: the API's process that ran it is no more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreed:
    """One picture on which the two versions differ.

    Attributes:
        picture: its name in the image store.
        expected: the label that it has; "" if nobody has said.
        current, candidate: the best labels of the two versions; "" of one whose workers gave the picture up. Of
            detectors: what each of them alone has found; "" for nothing.
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
        left_out: how many others there were: no version could read them, they were counted already, or were deleted.
        right_current, right_candidate: of these, how many got their label; None for pictures without labels.
        only_current, only_candidate: how many got it from one of the two alone.
        agreed: how many got the same label, or the same objects, from both.
        difference, low, high: accuracy of the candidate less that of the current version, -1 to 1, and its 95%
            interval.
        objects_current, objects_candidate: of detectors, how many objects each has found; otherwise None.
        matched: how many of these are the same objects.
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
    left_out: int = 0
    objects_current: int | None = None
    objects_candidate: int | None = None
    matched: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check has found.

    Attributes:
        passed: whether the candidate may be promoted; ``verdict`` says why, in a sentence with figures.
        labelled: of the operator's folder of pictures; a detector's need no labels.
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
        digests, against_digests: of the bundles of both that are served.
        done, of: progress, in pictures.
        began: ISO 8601.
        by: the name of the key that began it.
        run: what tells it from others of the same version; "" in what an older process has written.
        fault: why it has ended without a report; "" otherwise.
        report: at its end.
    """

    against: str
    digests: tuple[str, ...]
    done: int
    of: int
    began: str
    by: str
    run: str = ""
    against_digests: tuple[str, ...] = ()
    fault: str = ""
    report: Report | None = None

    @property
    def runs(self) -> bool:
        return self.report is None and not self.fault

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
            against_digests = tuple(map(str, found.pop("against_digests", ())))
            return cls(
                **found, digests=digests, against_digests=against_digests, report=_report(report) if report else None
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    @classmethod
    def seen(cls, raw: bytes | None, holder: bytes | None) -> Self | None:
        """What there is of a check, and which run of one goes on: that of one whose process has died does not."""
        check = cls.parse(raw)
        if check is not None and check.runs and holder != check.run.encode():
            return replace(check, fault=BROKEN_OFF)
        return check


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


def begin(redis: Redis, candidate: ModelVersion, check: Check) -> bool:
    """Keep a check that begins in place of the one before, unless one of the same model runs: then False.

    Raises:
        RedisError: Redis does not answer or refuses to write.
    """
    if not redis.set(keys.checking(candidate.name), check.run, nx=True, ex=RUNS_FOR_S):
        return False
    return write(redis, candidate, check)


def write(redis: Redis, candidate: ModelVersion, check: Check) -> bool:
    """Keep what has become of a check that has begun; to be repeated well within ``RUNS_FOR_S`` until it has ended.

    Returns:
        Whether it was kept. If not, the check counts as broken off already, and another may run.

    Raises:
        RedisError: Redis does not answer or refuses to write.
    """
    lock = keys.checking(candidate.name)
    with redis.pipeline() as pipe:
        pipe.watch(lock)  # type: ignore[no-untyped-call]
        holder: Any = pipe.get(lock)
        if holder != check.run.encode():
            return False
        pipe.multi()
        pipe.set(keys.check(candidate.key), check.to_json(), ex=KEPT_FOR_S)
        if check.runs:
            pipe.expire(lock, RUNS_FOR_S)
        else:
            pipe.delete(lock)
        try:
            pipe.execute()
        except WatchError:
            return False
    return True


def read(redis: Redis, candidate: ModelVersion) -> Check | None:
    """The latest check of a version, whatever has become of it.

    Raises:
        RedisError: Redis does not answer.
    """
    with redis.pipeline() as pipe:
        ask(pipe, candidate)
        return Check.seen(*pipe.execute())


def ask(pipe: Pipeline, candidate: ModelVersion) -> None:
    """Add two questions to a pipeline; ``Check.seen`` reads the answers."""
    pipe.get(keys.check(candidate.key))
    pipe.get(keys.checking(candidate.name))
