"""What happens to one batch: each job of it is dropped, refused, answered, or put back to be tried again."""

from __future__ import annotations

import logging
import time
import traceback
from typing import TYPE_CHECKING

from contract.decoding_cost import decoding_cost
from contract.errors import BackendDown
from contract.messages import Answer, CopyJob, DrawJob, Dropped, Failure, Lost, PictureJob
from model.picture import Picture
from model.serving.picture_reader import PictureReader
from model.serving.settlement import GivenUp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contract.image_store import PictureStore
    from contract.messages import Copied
    from model.opening import AnyPredictor
    from model.serving.batcher import Batch
    from model.serving.claimed_job import ClaimedJob
    from model.serving.copier import Copier
    from model.serving.lease import Lease
    from model.serving.model_queues import ServedQueue
    from model.serving.registration import Registration
    from model.serving.settlement import Settlement

log = logging.getLogger(__name__)


class BatchProcessor:
    """Computes batches and settles them.

    Args:
        predictors: by ``ModelVersion.key``; may change between two batches.
        lease: kept on the batch in hand.
        registration: learns how long batches take, and knows whether Redis has room for answers.
        copier: None for a worker that makes no copies, which gives up jobs for them.
    """

    def __init__(
        self,
        store: PictureStore,
        predictors: Mapping[str, AnyPredictor],
        lease: Lease,
        registration: Registration,
        copier: Copier | None = None,
    ) -> None:
        self._store = store
        self._reader = PictureReader(store)
        self._predictors = predictors
        self._lease = lease
        self._registration = registration
        self._copier = copier

    def process(self, batch: Batch, queue: ServedQueue) -> None:
        """See a batch of a queue through to its end.

        Raises:
            RedisError: Redis does not answer; what is not settled comes back when its lease runs out.
            BackendDown: the store of pictures is away; the batch is back on its queue.
        """
        predictor = self._predictors[queue.model]
        others = [job for job in batch.runnable if not _asks_for_its_answers(job, predictor)]
        self._settle_unrun(batch, others, queue)
        jobs = queue.settlement.start([job for job in batch.runnable if job not in others], batch.leftovers)
        if not jobs:
            return
        self._lease.hold(jobs)
        try:
            self._run(jobs, predictor, queue)
        finally:
            self._lease.let_go()

    def _settle_unrun(self, batch: Batch, others: Sequence[ClaimedJob], queue: ServedQueue) -> None:
        """``others`` are for models of another task, which this one's answers would not fit."""
        dropped = [(job, Dropped()) for job in batch.unwanted]
        refused = [(job, GivenUp("refused: not a job of ours")) for job in batch.refused]
        refused += [(job, GivenUp(f"refused: {queue.model} does not do what the job asks for")) for job in others]
        if dropped or refused:
            queue.settlement.end([*dropped, *refused])

    def _run(self, jobs: Sequence[ClaimedJob], predictor: AnyPredictor, queue: ServedQueue) -> None:
        started = time.monotonic()
        try:
            predicted, copied = self._predict(jobs, predictor), self._copy(jobs)
        except BackendDown as error:
            self._put_off(jobs, queue.settlement, error)
            return
        except Exception:
            log.exception("a batch of %d failed", len(jobs))
            _try_again(jobs, queue.settlement, traceback.format_exc())
            return
        outcomes: dict[str, Answer | Failure | Copied | Lost] = {**predicted, **copied}
        found = [(job, outcomes[job.sharing_key]) for job in jobs if job.sharing_key in outcomes]
        lost = [(job, Lost()) for job in jobs if job.sharing_key not in outcomes]
        queue.settlement.end([*found, *lost], remember=self._registration.room_for_answers)
        if predicted and not copied:
            elapsed_s = time.monotonic() - started
            self._registration.served(queue.model, len(predicted), elapsed_s, bulk=queue.bulk)

    def _put_off(self, jobs: Sequence[ClaimedJob], settlement: Settlement, error: BackendDown) -> None:
        """The store is away, which is nobody's fault; or it fails with one of these pictures, as others must not.

        Raises:
            BackendDown: it is away, and the jobs are back on the queue.
        """
        self._lease.progress()  # asking may take as long as reading did
        try:
            self._store.check_readable()
        except BackendDown:
            settlement.put_off(jobs)
            raise
        log.error("%s (%s), but for others: a batch of %d is tried again", error, error.cause, len(jobs))
        _try_again(jobs, settlement, f"{error} ({error.cause})")

    def _predict(self, jobs: Sequence[ClaimedJob], predictor: AnyPredictor) -> dict[str, Answer | Failure]:
        """Outcomes by the jobs' sharing keys; a picture that is not in the store has none.

        Jobs of one computation share its outcome, unless their senders asked for no sharing. Senders of one picture at
        the same instant may all queue it before one of them wins ``inflight``.
        """
        tasks = {job.sharing_key: job.task for job in jobs if isinstance(job.task, PictureJob)}
        found = self._reader.read((task.picture for task in tasks.values()), self._lease.progress)
        pictures = {
            key: Picture(found[task.picture], task.strict) for key, task in tasks.items() if task.picture in found
        }
        if not pictures:
            return {}
        outcomes = predictor.predict(list(pictures.values()), on_progress=self._lease.progress)
        for picture, outcome in zip(pictures.values(), outcomes, strict=True):
            if not isinstance(outcome, Failure):
                self._registration.decoded(decoding_cost(picture.data), outcome.timings_ms.decode)
        return dict(zip(pictures, outcomes, strict=True))

    def _copy(self, jobs: Sequence[ClaimedJob]) -> dict[str, Copied | Failure | Lost]:
        """Outcomes by the jobs' sharing keys."""
        tasks = {job.sharing_key: job.task for job in jobs if isinstance(job.task, CopyJob | DrawJob)}
        outcomes: dict[str, Copied | Failure | Lost] = {}
        for key, task in tasks.items():
            if self._copier is None:
                raise RuntimeError("this worker makes no copies")
            outcomes[key] = self._copier.make(task, self._lease.progress)
        return outcomes


def _asks_for_its_answers(job: ClaimedJob, predictor: AnyPredictor) -> bool:
    return isinstance(job.task, CopyJob | DrawJob | predictor.job)


def _try_again(jobs: Sequence[ClaimedJob], settlement: Settlement, reason: str) -> None:
    """Our fault: each job goes back and runs alone, until it has had its tries."""
    for job in reversed(jobs):
        if job.given_up:
            settlement.end([(job, GivenUp(reason))])
        else:
            settlement.give_back(job)
