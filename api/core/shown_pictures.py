"""Stored pictures as they are shown: clean copies, which a worker makes when one is first asked for."""

from __future__ import annotations

from contextlib import suppress
from typing import IO, TYPE_CHECKING

from api.core.errors import ClientGone, NoWorker, Overloaded, Undecodable
from contract.deadline import Deadline
from contract.errors import BackendDown, DeadlineExceeded, JobLost, PictureDeleted, PictureNotFound, WorkerFault
from contract.image_store import NOT_FOUND
from contract.messages import Copied, CopyJob, Deleted, Dropped, Failure
from contract.worker_registry import ALIVE_FOR_S

if TYPE_CHECKING:
    from api.core.admission import Admission
    from api.core.client import Client
    from api.core.live_workers import LiveWorkers
    from api.core.uploads import Uploads
    from contract.job_queue import JobQueue, Submission
    from contract.messages import Outcome

TRIES = 3  # a joined job may end without a copy


class ShownPictures:
    """One per API process; safe to use from many requests at once. Nothing is decoded here.

    Args:
        wait_s: how long one request waits for a copy, in seconds.
    """

    def __init__(
        self, uploads: Uploads, queue: JobQueue, live_workers: LiveWorkers, admission: Admission, *, wait_s: float
    ) -> None:
        self._uploads = uploads
        self._queue = queue
        self._live_workers = live_workers
        self._admission = admission
        self._wait_s = wait_s

    def open(self, picture: str, client: Client) -> IO[bytes]:
        """A clean copy of a stored picture, as a file.

        Raises:
            PictureNotFound: no picture has this name (any more).
            PictureDeleted: it was deleted while its copy was made.
            Undecodable: no worker can read it.
            NoWorker, Overloaded, OverShare, StoreFull, BackendDown: not now; the error says when to try again.
            ClientGone: nobody is there any more to see it.
        """
        if picture not in self._uploads.store:
            raise PictureNotFound(NOT_FOUND)
        with suppress(PictureNotFound):
            return self._uploads.copies.open(picture)
        with self._admission.place(client.sender):
            self._make(picture, client)
        return self._uploads.copies.open(picture)

    def _make(self, picture: str, client: Client) -> None:
        """Have a worker make the copy, or wait for it with others."""
        pool = self._live_workers.pool()
        if not pool.makes_copies:
            raise NoWorker("no worker that makes copies of pictures is ready", ALIVE_FOR_S)
        if pool.memory.nearly_full:
            raise Overloaded("the service is busy: its queue has no room left")
        self._uploads.check_room_for_copy(picture)
        job, deadline = CopyJob(picture), Deadline(self._wait_s)
        for _ in range(TRIES):
            submission = self._queue.submit(pool.model, job, deadline.demand_left_s(), wake=pool.wake)
            if submission.joined and not self._queue.join(submission.job_id, deadline.demand_left_s()):
                self._queue.forget(pool.model, job.computation, submission.job_id)
                continue
            outcome = self._outcome(submission, client, deadline)
            if isinstance(outcome, Copied) and not submission.joined:
                self._uploads.count_copy(picture, outcome.size_bytes)
            if outcome is not None and not isinstance(outcome, Dropped):
                return self._check(picture, outcome)
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

    def _check(self, picture: str, outcome: Outcome) -> None:
        match outcome:
            case Copied():
                return
            case Deleted():
                raise PictureDeleted("the picture was deleted")
            case Failure(_, detail):
                raise Undecodable(detail)
        if picture not in self._uploads.store:
            raise PictureNotFound(NOT_FOUND)
        raise BackendDown("a copy of this picture could not be stored; please try again")
