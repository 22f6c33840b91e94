"""One check of a candidate, from its begin to its report."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from threading import Thread
from typing import TYPE_CHECKING, Any

from redis.exceptions import WatchError

from api.core.check_pictures import CheckPictures
from api.core.check_report import AnswerSet, Findings, LabelFindings, PictureSet, ServiceTimes
from api.core.errors import ModelNotChanged
from api.core.labelled_folder import LEAST_PICTURES
from api.core.object_agreement import LEAST_OBJECTS, ObjectFindings, ObjectSet
from api.core.recent_pictures import recent_pictures
from api.core.replay import BEAT_EVERY_S, Replay
from contract import checks
from contract.checks import RUNS_FOR_S
from contract.errors import BackendDown, ServiceError
from contract.messages import ClassifyJob, DetectJob, PictureJob
from contract.model_task import ModelTask
from contract.redis_clients import redis_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis import Redis

    from api.core.check_pictures import Corrections
    from api.core.expected_labels import Expected, ExpectedLabels
    from api.core.labelled_folder import LabelledFile
    from api.core.live_workers import LiveWorkers
    from api.core.replay import Question, Replayed
    from api.core.uploads import Uploads
    from api.settings import Settings
    from contract.checks import Check, Report
    from contract.job_queue import JobQueue
    from contract.model_version import ModelVersion

log = logging.getLogger(__name__)

MOST_REPORTS = 1000  # with a correct label, the latest
MOST_STORED = 500  # pictures that were sent lately


class Superseded(Exception):
    """The check counts as broken off already, and may have been begun again."""


@dataclass(frozen=True, slots=True)
class _Means:
    """How models for a task are asked, and what becomes of their answers."""

    job: type[PictureJob[Any]]
    new_set: type[AnswerSet]
    findings: type[Findings[Any]]


MEANS = {
    ModelTask.CLASSIFICATION: _Means(ClassifyJob, PictureSet, LabelFindings),
    ModelTask.DETECTION: _Means(DetectJob, ObjectSet, ObjectFindings),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """What is compared.

    Attributes:
        task: what both versions are for.
        current_digests, digests: of the current version's bundles and the candidate's, none but which may answer.
        labels: of both versions.
        files: the operator's pictures, with their labels; None for those of a detector.
    """

    task: ModelTask
    current: ModelVersion
    candidate: ModelVersion
    current_digests: tuple[str, ...]
    digests: tuple[str, ...]
    labels: ExpectedLabels
    files: Sequence[tuple[LabelledFile, Expected | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a check works with."""

    settings: Settings
    redis: Redis
    queue: JobQueue
    live_workers: LiveWorkers
    uploads: Uploads
    corrections: Corrections


class CheckRun:
    """Runs in a thread of its own, and writes into Redis how far it is.

    Args:
        check: as it was kept when it began.
    """

    def __init__(self, parts: Parts, comparing: Comparing, check: Check) -> None:
        self._parts = parts
        self._comparing = comparing
        self._check = check
        self._told_at = time.monotonic()
        self._pictures = CheckPictures(
            parts.uploads,
            parts.corrections,
            most_bytes=parts.settings.max_upload_bytes,
            max_pixels=parts.settings.max_pixels,
            beat=self._beat,
        )
        self._means = MEANS[comparing.task]
        self._labelled, self._feedback, self._stored = (self._means.new_set() for _ in range(3))
        self._times = ServiceTimes()

    def start(self) -> None:
        Thread(target=self._run, name="check", daemon=True).start()

    def _run(self) -> None:
        candidate = self._comparing.candidate
        log.info("%s is being checked against %s", candidate, self._comparing.current)
        try:
            report = self._replay_all()
        except Superseded:
            log.warning("the check of %s is given up: this process was silent for too long", candidate)
            return
        except ServiceError as error:
            self._end(replace(self._check, fault=str(error)))
        except Exception:
            log.exception("the check of %s has failed", candidate)
            self._end(replace(self._check, fault="a fault of the service has ended it; its log says more"))
        else:
            self._end(replace(self._check, report=report))
        finally:
            self._pictures.close()

    def _replay_all(self) -> Report:
        comparing, labels = self._comparing, self._comparing.labels
        reported = self._reported()
        recent = self._recent(MOST_STORED + len(comparing.files) + len(reported))
        self._check = replace(self._check, of=self._check.of + len(reported) + min(MOST_STORED, len(recent)))
        self._replay(self._pictures.labelled(comparing.files, self._labelled), self._labelled)
        self._demand_enough()
        self._replay(self._pictures.reported(reported, self._feedback), self._feedback)
        unasked = [name for name in recent if name not in self._pictures.asked][:MOST_STORED]
        self._replay(self._pictures.stored(unasked, self._stored), self._stored)
        return self._means.findings(
            current=comparing.current,
            labelled=self._labelled,
            feedback=self._feedback,
            stored=self._stored,
            times=self._times,
            missing=labels.missing(),
            used=self._used(),
            slower_ratio=self._parts.settings.check_slower_ratio,
        ).report()

    def _used(self) -> set[str]:
        """The labels of the current version that the operator's pictures have or, of a detector, that it has found."""
        if isinstance(self._labelled, ObjectSet):
            return self._labelled.labels
        return {expected.current for _, expected in self._comparing.files if expected is not None}

    def _reported(self) -> list[tuple[str, Expected]]:
        """Of a classifier: what a report says is one label."""
        labels = self._comparing.labels
        if self._comparing.task is not ModelTask.CLASSIFICATION:
            return []
        said = self._parts.corrections.of(self._comparing.current.name)
        known = ((name, expected) for name, words in said if (expected := labels.of(words)).known)
        return list(islice(known, MOST_REPORTS))

    def _recent(self, most: int) -> list[str]:
        """Empty where pictures are not meant to outlive their requests: a check would keep them."""
        uploads = self._parts.uploads
        if self._parts.settings.store_uploads != "all":
            return []
        return recent_pictures(uploads.store, most, idle_s=uploads.idle_s, beat=self._beat)

    def _replay(self, questions: Iterable[Question], into: AnswerSet) -> None:
        parts, comparing = self._parts, self._comparing
        replay = Replay(
            parts.queue,
            parts.live_workers,
            (comparing.current, comparing.candidate),
            self._means.job,
            costly_ms=parts.settings.costly_picture_ms,
            beat=self._beat,
        )
        with closing(replay.run(questions)) as answered:
            for replayed in answered:
                self._pictures.finished(replayed.question.picture)
                self._demand_unchanged(replayed)
                into.add(replayed)
                self._times.add(replayed)
                self._beat()

    def _demand_unchanged(self, replayed: Replayed) -> None:
        comparing = self._comparing
        of_current, of_candidate = replayed.answers or (None, None)
        for version, answer, digests in (
            (comparing.current, of_current, comparing.current_digests),
            (comparing.candidate, of_candidate, comparing.digests),
        ):
            if answer is not None and answer.digest not in digests:
                raise ModelNotChanged(f"another bundle of {version} has taken its place meanwhile")

    def _demand_enough(self) -> None:
        if self._labelled.pictures < LEAST_PICTURES or not self._times.current:
            raise ModelNotChanged(
                f"of {len(self._comparing.files)} {self._told_pictures} only {len(self._times.current)} were answered "
                f"by both versions, and {LEAST_PICTURES} are needed"
            )
        if isinstance(self._labelled, ObjectSet) and self._labelled.objects_current < LEAST_OBJECTS:
            raise ModelNotChanged(
                f"{self._comparing.current} finds {self._labelled.objects_current} objects in "
                f"{self._labelled.pictures} pictures, and at least {LEAST_OBJECTS} are needed to compare: CHECK_DIR "
                "should have pictures as the service gets them"
            )

    @property
    def _told_pictures(self) -> str:
        return "labelled pictures" if self._comparing.task is ModelTask.CLASSIFICATION else "pictures"

    def _beat(self) -> None:
        """Tell how far it is, if that was not told lately.

        Raises:
            Superseded: it is too late for that.
            BackendDown: Redis has not answered for so long that it soon will be.
        """
        silent_s = time.monotonic() - self._told_at
        if silent_s < BEAT_EVERY_S:
            return
        try:
            self._tell(replace(self._check, done=self._done))
        except BackendDown:
            if silent_s > RUNS_FOR_S / 2:
                raise

    @property
    def _done(self) -> int:
        return sum(counted.pictures + counted.left_out for counted in (self._labelled, self._feedback, self._stored))

    def _end(self, check: Check) -> None:
        """Keep what has come of it; if Redis stays away it counts as broken off."""
        check = replace(check, done=self._done, of=check.of if check.report is None else self._done)
        for _ in range(RUNS_FOR_S):
            try:
                self._tell(check)
            except BackendDown:
                time.sleep(BEAT_EVERY_S)
            except Superseded:
                break
            else:
                log.info("the check of %s has ended: %s", self._comparing.candidate, _outcome(check))
                return
        log.warning("the check of %s has ended, and what it found could not be kept", self._comparing.candidate)

    def _tell(self, check: Check) -> None:
        try:
            with redis_errors():
                kept = checks.write(self._parts.redis, self._comparing.candidate, check)
        except WatchError as error:  # redis-py's word for a connection that breaks while it watches
            raise BackendDown("Redis does not answer") from error
        if not kept:
            raise Superseded
        self._told_at = time.monotonic()


def _outcome(check: Check) -> str:
    if check.report is None:
        return check.fault
    return f"{'passed' if check.report.passed else 'failed'}, {check.report.verdict}"
