"""The steps of one async job: store, look, create; its sender asks for the rest later. No HTTP here."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from api.core.errors import UnknownModel
from contract.async_jobs import PICTURE_LOST, JobState
from contract.decoding_cost import decoding_cost
from contract.errors import RETRY_SOON_S, BackendDown
from contract.model_task import ModelTask
from contract.worker_registry import ALIVE_FOR_S

if TYPE_CHECKING:
    from api.core.admission import Admission
    from api.core.client import Client
    from api.core.live_workers import Destination, LiveWorkers, WorkerPool
    from api.core.uploads import SentPicture, Uploads
    from api.settings import Settings
    from contract.async_jobs import AsyncJob, AsyncJobs, JobRequest
    from contract.job_queue import JobQueue
    from contract.model_version import WantedModel

PAGE_JOBS = 50  # of a list
LONGEST_RETRY_S = 30  # the expected wait is that of a job created now: an older one is done sooner


class AsyncInference:
    """One per API process; safe to use from many requests at once."""

    def __init__(
        self,
        settings: Settings,
        *,
        uploads: Uploads,
        queue: JobQueue,
        live_workers: LiveWorkers,
        admission: Admission,
        jobs: AsyncJobs,
    ) -> None:
        self._settings = settings
        self._uploads = uploads
        self._queue = queue
        self._live_workers = live_workers
        self._admission = admission
        self._jobs = jobs

    def admit(self, model: WantedModel | None = None) -> None:
        """Refuse a job that could not be kept before its body is read. It need not have a live worker now.

        Args:
            model: what the request's query names; the body may still name another.

        Raises:
            UnknownModel: there is no such model.
            Overloaded, NoWorker, BackendDown: not now; the error says when to try again.
        """
        destination = self._live_workers.destination(model)
        self._admission.check_async(destination, self._expected_wait_s(destination.pool), self._settings.job_ttl_s)

    def task_of(self, model: WantedModel | None) -> ModelTask:
        """What a job for this model, or for the default one, asks for.

        Raises:
            UnknownModel: no worker has ever served it, or it is for something that this API does not know.
            NoWorker, BackendDown: as ``admit``.
        """
        destination = self._live_workers.destination(model)
        try:
            return ModelTask(destination.task)
        except ValueError as error:
            raise UnknownModel(f"{destination.version} is for {destination.task}, which is not known here") from error

    def create(
        self, image: bytes, client: Client, request: JobRequest, *, model: WantedModel | None, key: str | None
    ) -> AsyncJob:
        """Accept one checked picture, or return the job created with the same idempotency key before.

        Args:
            request: what its sender asks for; it gets the picture's name here.
            model: which is to answer; None for the default of the task.

        Raises:
            UnknownModel: no worker has ever served ``model``.
            OtherTask: it is for another task.
            KeyReused: ``key`` was used before with another picture or with other parameters.
            OverShare: the sender has too many jobs that are not fetched, or too large ones, or sends too much.
            UnknownOutcome: its job has ended with a result of a kind that this version does not know.
            NoWorker: no worker was ever ready, so the model that will answer is unknown.
            StoreFull, BackendDown: not now; the error says when to try again.
        """
        destination = self._live_workers.destination(model, request.task)
        picture = self._uploads.sent(image, client.sender, durable=True)
        asked = str(model) if model is not None else ""
        request = replace(request, picture=picture.name, model=asked, request_id=client.request_id)
        try:
            return self._create(destination, request, picture, image, client, key=key)
        finally:
            if picture.is_stored:
                self._uploads.finished(picture.name)

    def _create(
        self,
        destination: Destination,
        request: JobRequest,
        picture: SentPicture,
        image: bytes,
        client: Client,
        *,
        key: str | None,
    ) -> AsyncJob:
        cache, answer, bulk = self._settings.result_cache and not client.private, None, False
        if destination.pool is not None and destination.pool.bulk_workers:
            bulk = destination.pool.decoding_s(decoding_cost(image)) * 1000 > self._settings.costly_picture_ms
        if cache and destination.pool is not None:
            computation = request.queued_job(cache=cache).computation
            sighting = self._queue.look(destination.model, destination.pool.digest, computation)
            self._admission.saw_depth(destination.model, sighting.depth)
            known = sighting.answer
            answer = known if known is not None and known.model_task == request.task else None
        if answer is None:
            picture.keep()
        return self._jobs.create(
            destination.model,
            request,
            sender=client.sender,
            size_bytes=len(image),
            cache=cache,
            answer=answer,
            key=key,
            bulk=bulk,
        )

    def read(self, job_id: str, sender: str) -> AsyncJob:
        """Raises JobNotFound, UnknownOutcome, BackendDown."""
        job = self._jobs.read(job_id, sender)
        if job.outcome == PICTURE_LOST:
            self._uploads.store.distrust(job.request.picture)  # its sender is asked to send it again
        return job

    def listed(self, sender: str, page: int) -> tuple[list[AsyncJob], bool]:
        """A page of the sender's jobs, the latest first, and whether there are more. Raises BackendDown."""
        return self._jobs.listed(sender, (page - 1) * PAGE_JOBS, PAGE_JOBS)

    def cancel(self, job_id: str, sender: str) -> AsyncJob:
        """Raises JobEnded (done or failed, and it stays so), JobNotFound, UnknownOutcome, BackendDown."""
        return self._jobs.cancel(job_id, sender)

    def retry_after_s(self, job: AsyncJob) -> int | None:
        """When to ask for the job again, in seconds; None once it has ended."""
        if job.state is JobState.RUNNING:
            return 1
        if job.state is not JobState.QUEUED:
            return None
        try:
            pool = self._live_workers.fleet().pools.get(job.model.key)
            if pool is None:
                return ALIVE_FOR_S
            return min(LONGEST_RETRY_S, max(1, math.ceil(self._expected_wait_s(pool))))
        except BackendDown:
            return RETRY_SOON_S

    def _expected_wait_s(self, pool: WorkerPool | None) -> float:
        """How long a job created now waits for its answer, in seconds: behind all requests, and all async jobs."""
        if pool is None:
            return 0.0
        (waiting,) = self._queue.async_depths([pool.model])
        return self._admission.expected_wait_s(pool, behind=waiting)
