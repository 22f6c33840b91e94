"""What the views work with, made once per process and kept on the Flask application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from flask import Flask, current_app

from api.feedback import FeedbackLog
from api.gateway import Gateway
from api.labels import LabelBook
from api.reported_pictures import ReportedPictures
from api.staff import Staff
from api.ticket_desk import TicketDesk
from contract.connections import connect, connect_for_waiting
from contract.image_store import ImageStore
from contract.job_queue import JobQueue
from contract.tickets import Tickets

if TYPE_CHECKING:
    from api.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    store: ImageStore
    queue: JobQueue
    staff: Staff
    gateway: Gateway
    feedback: FeedbackLog
    reported: ReportedPictures
    desk: TicketDesk
    labels: LabelBook

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """Wire the parts. Nothing is connected yet: Redis is first spoken to by the first request."""
        commands = connect(settings.redis_url)
        store = ImageStore(settings.upload_dir)
        queue = JobQueue(commands, connect_for_waiting(settings.redis_url))
        staff = Staff(commands, queue)
        gateway = Gateway(settings, store, queue, staff)
        feedback = FeedbackLog(settings.feedback_dir)
        reported = ReportedPictures(settings.feedback_dir, store, settings.feedback_pictures_mb * 1_000_000)
        tickets = Tickets(commands, queue, settings.ticket_ttl_s)
        desk = TicketDesk(settings, store, queue, staff, tickets)
        labels = LabelBook(commands, staff)
        return cls(settings, store, queue, staff, gateway, feedback, reported, desk, labels)

    def install(self, app: Flask) -> None:
        app.extensions["services"] = self

    @classmethod
    def current(cls) -> Self:
        """Those of the application that answers the current request."""
        found = current_app.extensions["services"]
        assert isinstance(found, cls)
        return found
