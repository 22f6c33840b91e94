"""The objects that the views use, made once per process and kept on the Flask application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from flask import Flask, current_app

from api.core.admission import Admission
from api.core.async_jobs import AsyncInference
from api.core.body_room import BodyRoom
from api.core.bucket_sweep import BucketSweep
from api.core.camera.camera import Camera
from api.core.candidate_watch import CandidateWatch
from api.core.check_run import Parts
from api.core.check_runner import CheckRunner
from api.core.checks import Checks
from api.core.copy_making import CopyMaking
from api.core.drawn_pictures import DrawnPictures
from api.core.folder_sweep import FolderSweep
from api.core.inference import Inference
from api.core.labels import LabelLookup
from api.core.link_secret import LinkSecret
from api.core.live_workers import LiveWorkers
from api.core.model_changes import ModelChanges
from api.core.model_reports import ModelReports
from api.core.models import Models
from api.core.patterns import Patterns
from api.core.picture_links import PictureLinks
from api.core.retention import Retention, Sweep
from api.core.sender_rate import SenderRate
from api.core.shadows import Shadows
from api.core.shown_pictures import ShownPictures
from api.core.uploads import Uploads
from api.core.usage import Usage
from api.core.usage_report import UsageReports
from api.feedback.corrections import Corrections
from api.feedback.deletion import Deletion
from api.feedback.log import FeedbackLog
from api.feedback.pictures import ReportedPictures
from api.inspection.drawing import DrawnInspections
from api.inspection.keeping import Inspections
from api.inspection.latest import LatestPicture
from api.inspection.log import InspectionLog
from api.inspection.pictures import InspectedPictures
from api.keys.keyring import Keyring
from contract.async_jobs import AsyncJobs
from contract.job_queue import JobQueue
from contract.private_files import tighten
from contract.redis_clients import connect, connect_for_waiting

if TYPE_CHECKING:
    from redis import Redis

    from api.settings import Settings
    from contract.image_store import PictureStore

WRONG_KEYS = 10  # that one address may send a process in a minute, before others of it are not even compared
HELD_SHARE = 0.25  # of the room for pictures that those of one sender's unfetched jobs may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    settings: Settings
    uploads: Uploads
    store: PictureStore
    retention: Retention
    queue: JobQueue
    live_workers: LiveWorkers
    body_room: BodyRoom
    watch: CandidateWatch
    inference: Inference
    async_inference: AsyncInference
    labels: LabelLookup
    camera: Camera
    feedback: FeedbackLog
    feedback_rate: SenderRate
    keyring: Keyring
    wrong_key_rate: SenderRate
    reported: ReportedPictures
    shown: ShownPictures
    drawn: DrawnPictures
    links: PictureLinks
    deletion: Deletion
    models: Models
    model_changes: ModelChanges
    model_reports: ModelReports
    check_runner: CheckRunner
    patterns: Patterns
    inspections: Inspections
    inspected: InspectedPictures
    drawn_inspections: DrawnInspections
    latest: LatestPicture
    usage: Usage
    usage_reports: UsageReports

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """Build all of them. Nothing is connected yet: the first request opens the first connection to Redis."""
        commands = connect(settings.redis_address)
        uploads = Uploads(settings, commands)
        reported = ReportedPictures(
            settings.feedback_dir,
            uploads.store,
            most_bytes=settings.feedback_pictures_mb * 1_000_000 if settings.store_uploads != "none" else 0,
            reserve_bytes=settings.disk_reserve_mb * 1_000_000,
        )
        inspected = InspectedPictures(
            settings.feedback_dir / "inspections",
            uploads.store,
            most_bytes=settings.inspection_pictures_mb * 1_000_000 if settings.store_uploads != "none" else 0,
            reserve_bytes=settings.disk_reserve_mb * 1_000_000,
        )
        latest = LatestPicture(
            settings.feedback_dir / "inspections",
            uploads.store,
            kept=settings.store_uploads != "none" and settings.inspection_pictures_mb > 0,
            reserve_bytes=settings.disk_reserve_mb * 1_000_000,
        )
        waiting = connect_for_waiting(settings.redis_address)
        queue = JobQueue(commands, waiting)
        live_workers = LiveWorkers(
            commands, queue, bulk_share=settings.bulk_share, default_model=settings.default_model
        )
        usage = Usage(settings.web_concurrency)
        queue.send_too, live_workers.send_too = usage.send_due, usage.send_all
        admission = Admission(
            live_workers, max_in_flight=settings.max_in_flight, fallback_model=settings.fallback_model
        )
        watch = CandidateWatch(commands)
        inference = Inference(
            settings,
            uploads=uploads,
            queue=queue,
            live_workers=live_workers,
            admission=admission,
            watch=watch,
            shadows=Shadows(queue),
        )
        async_inference = AsyncInference(
            settings,
            uploads=uploads,
            queue=queue,
            live_workers=live_workers,
            admission=admission,
            jobs=AsyncJobs(
                commands,
                queue,
                settings.job_ttl_s,
                per_sender=settings.jobs_per_sender,
                bytes_per_sender=int(HELD_SHARE * settings.uploads_mb * 1_000_000),
            ),
        )
        feedback = FeedbackLog(
            settings.feedback_dir,
            most_bytes=settings.feedback_mb * 1_000_000,
            reserve_bytes=settings.disk_reserve_mb * 1_000_000,
        )
        models = Models(commands, queue, live_workers)
        copy_making = CopyMaking(uploads, queue, admission, wait_s=settings.request_timeout_s)
        drawn = DrawnPictures(uploads, live_workers, copy_making, shared=settings.result_cache)
        return cls(
            settings=settings,
            uploads=uploads,
            store=uploads.store,
            retention=Retention(
                uploads,
                commands,
                uploads_sweep=_sweep(uploads, commands, settings),
                others=(reported.store, inspected.store),
                often=settings.store_uploads != "all",
            ),
            queue=queue,
            live_workers=live_workers,
            body_room=BodyRoom(settings.body_memory_mb * 1_000_000),
            watch=watch,
            inference=inference,
            async_inference=async_inference,
            labels=LabelLookup(commands, live_workers),
            camera=Camera.from_settings(settings),
            feedback=feedback,
            feedback_rate=SenderRate(
                settings.feedback_per_hour,
                3600,
                f"too many reports from this address: at most {settings.feedback_per_hour} an hour",
            ),
            reported=reported,
            shown=ShownPictures(uploads, live_workers, copy_making),
            drawn=drawn,
            links=PictureLinks(
                LinkSecret(settings.link_secret.get_secret_value(), settings.link_secret_path), settings.link_ttl_s
            ),
            deletion=Deletion(commands, uploads, reported, inspected, latest),
            models=models,
            model_changes=ModelChanges(commands, waiting, live_workers, Checks(commands)),
            model_reports=ModelReports(commands, models),
            check_runner=CheckRunner(
                Parts(
                    settings=settings,
                    redis=commands,
                    queue=queue,
                    live_workers=live_workers,
                    uploads=uploads,
                    corrections=Corrections(feedback, reported),
                )
            ),
            patterns=Patterns(settings.pattern_dir),
            inspected=inspected,
            drawn_inspections=DrawnInspections(uploads, inspected, latest, drawn),
            latest=latest,
            inspections=Inspections(
                InspectionLog(
                    settings.feedback_dir / "inspections",
                    most_bytes=settings.inspections_mb * 1_000_000,
                    reserve_bytes=settings.disk_reserve_mb * 1_000_000,
                ),
                inspected,
                every=settings.inspection_pictures_every,
            ),
            usage=usage,
            usage_reports=UsageReports(commands, usage.send_all),
            keyring=Keyring(settings.api_keys_file, settings.admin_api_key.get_secret_value()),
            wrong_key_rate=SenderRate(WRONG_KEYS, 60, "too many wrong keys came from this address"),
        )

    def tighten_folders(self) -> None:
        """Take from other users of this machine what an older version let them see."""
        settings = self.settings
        own = [settings.picture_folder, settings.copies_dir, settings.feedback_dir, self.reported.folder]
        tighten(folder for folder in own if folder is not None)

    def install(self, app: Flask) -> None:
        app.extensions["services"] = self

    @classmethod
    def current(cls) -> Self:
        """Those of the application that answers the current request."""
        found = current_app.extensions["services"]
        assert isinstance(found, cls)  # noqa: S101  # we have put it there
        return found


def _sweep(uploads: Uploads, redis: Redis, settings: Settings) -> Sweep:
    """What deletes old uploads, wherever they are."""
    kept_for_s = settings.pictures_kept_for_s
    if uploads.in_bucket is None:
        assert uploads.in_folder is not None  # noqa: S101  # they are in one of them
        return FolderSweep(uploads, *uploads.in_folder, kept_for_s=kept_for_s)
    most_bytes = settings.uploads_mb * 1_000_000
    return BucketSweep(uploads, *uploads.in_bucket, redis, kept_for_s=kept_for_s, most_bytes=most_bytes)
