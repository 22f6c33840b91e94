"""Having a worker make a copy of a stored picture: the API decodes nothing."""

from __future__ import annotations

from contextlib import suppress
from typing import IO, TYPE_CHECKING

from api.core.errors import ClientGone, Overloaded, Undecodable
from contract.deadline import Deadline
from contract.errors import BackendDown, DeadlineExceeded, JobLost, PictureDeleted, PictureNotFound, WorkerFault
from contract.image_store import NOT_FOUND
from contract.messages import Copied, Deleted, Dropped, Failure

if TYPE_CHECKING:
    from api.core.admission import Admission
    from api.core.client import Client
    from api.core.live_workers import WorkerPool
    from api.core.uploads import Uploads
    from contract.job_queue import JobQueue, Submission
    from contract.messages import CopyJob, DrawJob, Outcome

TRIES = 3  # a joined job may end without a copy


class CopyMaking:
    """One per API process; safe to use from many requests at once.

    Args:
        wait_s: how long one request waits for a copy, in seconds.
    """

    def __init__(self, uploads: Uploads, queue: JobQueue, admission: Admission, *, wait_s: float) -> None:
        self._uploads = uploads
        self._queue = queue
        self._admission = admission
        self._wait_s = wait_s

    def open(self, job: CopyJob | DrawJob, pool: WorkerPool, client: Client) -> IO[bytes]:
        """The copy that a job is for, as a file: made by a worker of the pool, for all who ask for it meanwhile.

        Raises:
            PictureNotFound: its picture is not stored (any more), or the copy not.
            PictureDeleted: it was deleted while its copy was made.
            Undecodable: no worker can read it.
            Overloaded, OverShare, StoreFull, BackendDown, JobLost: not now; the error says when to try again.
            ClientGone: nobody is there any more to see it.
        """
        with self._admission.place(client.sender):
            self._make(job, pool, client)
        return self._uploads.copies.open(job.copy_name)

    def _make(self, job: CopyJob | DrawJob, pool: WorkerPool, client: Client) -> None:
        if pool.memory.nearly_full:
            raise Overloaded("the service is busy: its queue has no room left")
        self._uploads.check_room_for_copy(job.picture)
        deadline = Deadline(self._wait_s)
        for _ in range(TRIES):
            submission = self._queue.submit(pool.model, job, deadline.demand_left_s(), wake=pool.wake)
            if submission.joined and not self._queue.join(submission.job_id, deadline.demand_left_s()):
                self._queue.forget(pool.model, job.computation, submission.job_id)
                continue
            outcome = self._outcome(submission, client, deadline)
            if isinstance(outcome, Copied) and not submission.joined:
                self._uploads.count_copy(job.picture, outcome.size_bytes)
            if outcome is not None and not self._is_void(outcome, submission, job):
                return self._check(job, outcome)
            self._queue.forget(pool.model, job.computation, submission.job_id)
        raise JobLost("a copy of this picture could not be made; please try again")

    def _outcome(self, submission: Submission, client: Client, deadline: Deadline) -> Outcome | None:
        """None if the job has vanished."""
        try:
            with client.watched():
                return self._queue.wait(submission.job_id, deadline)
        except ClientGone:
            with suppress(BackendDown):  # then nobody wants the job once its deadline is over
                self._queue.leave(submission.job_id)
            raise
        except JobLost:
            return None
        except DeadlineExceeded as error:
            raise Overloaded("a copy of this picture is not ready yet") from error
        except WorkerFault as error:
            raise BackendDown("a copy of this picture could not be made; please try again") from error

    def _is_void(self, outcome: Outcome, submission: Submission, job: CopyJob | DrawJob) -> bool:
        """Whether it is of another's job, which ended for reasons of its own: the picture has been sent again since."""
        deleted_before = isinstance(outcome, Deleted) and submission.joined and job.picture in self._uploads.store
        return isinstance(outcome, Dropped) or deleted_before

    def _check(self, job: CopyJob | DrawJob, outcome: Outcome) -> None:
        match outcome:
            case Copied():
                return
            case Deleted():
                raise PictureDeleted("the picture was deleted")
            case Failure(_, detail):
                raise Undecodable(detail)
        if job.picture not in self._uploads.store:
            raise PictureNotFound(NOT_FOUND)
        raise BackendDown("a copy of this picture could not be stored; please try again")
