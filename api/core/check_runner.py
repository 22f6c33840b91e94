"""Checking a candidate with the operator's pictures: begun when asked for, and looked at. No HTTP here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from api.core.check_run import CheckRun, Comparing
from api.core.errors import CheckNotFound, ModelNotChanged, NoWorker
from api.core.expected_labels import ExpectedLabels
from api.core.labelled_folder import folder_for, labelled_files, pictures_of_any
from api.core.labels import LabelList
from contract import checks
from contract.checks import Check
from contract.errors import RETRY_SOON_S
from contract.model_state import read_state
from contract.model_task import ModelTask
from contract.model_version import ModelVersion
from contract.redis_clients import redis_errors
from contract.worker_registry import ALIVE_FOR_S, live_workers_of, read_labels

if TYPE_CHECKING:
    from api.core.check_run import Parts
    from api.core.expected_labels import Expected
    from api.core.labelled_folder import LabelledFile

NAMED_LABELS = 10  # in a sentence


@dataclass(frozen=True, slots=True)
class CandidateCheck:
    """A check, and the version that it is of."""

    candidate: ModelVersion
    check: Check


@dataclass(frozen=True, slots=True)
class _Served:
    """A version that workers serve now."""

    digests: tuple[str, ...]
    labels: LabelList


class CheckRunner:
    """One per API process; it holds nothing of its own."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._redis = parts.redis

    def begin(self, name: str, by: str) -> CandidateCheck:
        """Begin to check the candidate of a model, in the background of this process.

        Args:
            by: the name of the key that asks.

        Raises:
            UnknownModel: no worker has ever served the name.
            ModelNotChanged: it has no candidate, a candidate of it is being checked already, or the operator's pictures
                are too few, or have labels that neither version knows.
            NoWorker, BackendDown: not now.
        """
        current, candidate = self._versions(name)
        comparing = self._comparing(current, candidate)
        check = Check(
            against=current.key,
            digests=comparing.digests,
            against_digests=comparing.current_digests,
            done=0,
            of=len(comparing.files),
            began=datetime.now(UTC).isoformat(timespec="seconds"),
            by=by,
            run=uuid4().hex,
        )
        with redis_errors():
            begun = checks.begin(self._redis, candidate, check)
        if not begun:
            raise ModelNotChanged(f"a candidate of {name} is being checked already")
        CheckRun(self._parts, comparing, check).start()
        return CandidateCheck(candidate, check)

    def latest(self, name: str) -> CandidateCheck:
        """What has become of the latest check of a model's candidate.

        Raises:
            UnknownModel: no worker has ever served the name.
            CheckNotFound: it has no candidate, or that was never checked.
            BackendDown: Redis does not answer.
        """
        try:
            _, candidate = self._versions(name)
        except ModelNotChanged as error:
            raise CheckNotFound(str(error)) from error
        with redis_errors():
            check = checks.read(self._redis, candidate)
        if check is None:
            raise CheckNotFound(f"{candidate} has not been checked")
        return CandidateCheck(candidate, check)

    def _versions(self, name: str) -> tuple[ModelVersion, ModelVersion]:
        """The current version and its candidate, as they are now and not as they were a second ago."""
        with redis_errors():
            state = read_state(self._redis, name)
        if state is None:
            self._parts.live_workers.fleet().current(name)  # raises UnknownModel
        if state is None or state.candidate is None:
            raise ModelNotChanged(f"{name} has no candidate")
        return ModelVersion(name, state.current), ModelVersion(name, state.candidate)

    def _comparing(self, current: ModelVersion, candidate: ModelVersion) -> Comparing:
        now, then = self._served(current), self._served(candidate)
        labels = ExpectedLabels(now.labels, then.labels)
        task = self._task(current)
        return Comparing(
            task=task,
            current=current,
            candidate=candidate,
            current_digests=now.digests,
            digests=then.digests,
            labels=labels,
            files=self._files(current.name, now.labels, labels, task),
        )

    def _task(self, version: ModelVersion) -> ModelTask:
        told = self._parts.live_workers.fleet().task(version)
        try:
            return ModelTask(told)
        except ValueError as error:
            raise ModelNotChanged(
                f"{version} is for {told}, and candidates for that can't be checked: promote with a reason (force)"
            ) from error

    def _served(self, version: ModelVersion) -> _Served:
        with redis_errors():
            entries = live_workers_of(self._redis, [version.key])
            digests = tuple(sorted({entry.digest for entry in entries}))
            labels = read_labels(self._redis, version.key, digests[-1]) if digests else None
        if labels is None:
            raise NoWorker(f"no worker of {version} is ready", ALIVE_FOR_S if not digests else RETRY_SOON_S)
        return _Served(digests, LabelList(version, digests[-1], labels))

    def _files(
        self, name: str, current: LabelList, labels: ExpectedLabels, task: ModelTask
    ) -> list[tuple[LabelledFile, Expected | None]]:
        folder = self._parts.settings.check_dir
        if folder is None:
            what = "labelled pictures" if task is ModelTask.CLASSIFICATION else "pictures"
            raise ModelNotChanged(f"a candidate is checked with {what}: set CHECK_DIR to a folder of them")
        if task is not ModelTask.CLASSIFICATION:
            return [(file, None) for file in pictures_of_any(folder_for(folder, name))]
        files = labelled_files(folder_for(folder, name), current.labels)
        unknown = sorted({file.label for file in files if not labels.of(file.label).known})
        if unknown:
            more = f" and {len(unknown) - NAMED_LABELS} more" if len(unknown) > NAMED_LABELS else ""
            raise ModelNotChanged(
                f"labelled pictures have labels that neither version knows: {', '.join(unknown[:NAMED_LABELS])}{more}"
            )
        return [(file, labels.of(file.label)) for file in files]
